"""Events of a recording that goes wrong on the way, or keeps its client waiting."""

import asyncio

import httpx2
import openai
import pytest

from asr_dro_plugin.serving import event_stream
from asr_dro_plugin.serving.app import create_app
from asr_dro_plugin.serving.protocol import Done, Failed, Partial
from asr_dro_plugin.serving.settings import ServiceSettings

DONE = Done({"utt_id": "", "hypotheses": [{"text": "[eng] a b", "score": 0.0}]}, 2.0, "m")
FAILED = Failed(413, "too_long", "The recording is longer than 20 s. Cut it.", "file")


class Scripted:
    """A pool that says what it is told to; seconds are waited."""

    ready, models, counts = True, {"m": {}}, {}

    def __init__(self, *script):
        self.script, self.is_free = script, False

    def admit(self):
        return self

    def release(self):
        self.is_free = True

    async def run(self, job, descriptor):
        for each in self.script:
            if isinstance(each, float):
                await asyncio.sleep(each)
            else:
                yield each


def heard(pool, **fields):
    """The events that the official client has, the last one an error where it raised one."""

    async def ask():
        transport = httpx2.ASGITransport(app=create_app(ServiceSettings(), pool))
        made, found = httpx2.AsyncClient(transport=transport), []
        async with openai.AsyncOpenAI(base_url="http://x/v1", api_key="k", http_client=made,
                                      max_retries=0) as client:  # fmt: skip
            try:
                async for event in await client.audio.transcriptions.create(
                    file=b"sound", model="m", stream=True, **fields
                ):
                    found.append(event)
            except openai.APIError as error:
                found.append(error)
        return found

    events = asyncio.run(ask())
    assert pool.is_free
    return events


def test_a_recording_that_goes_wrong_on_the_way_is_an_error_behind_its_words():
    first, error = heard(Scripted(Partial(10.0, None, "[eng] a"), FAILED))
    assert first.delta == "a" and not isinstance(error, openai.APIStatusError)
    assert "longer than 20 s" in error.message and error.code == "too_long"


def test_a_recording_that_is_wrong_at_once_has_its_status():
    (error,) = heard(Scripted(FAILED))
    assert error.status_code == 413 and error.param == "file"


def test_the_tag_of_the_language_is_in_no_delta():
    events = heard(Scripted(Partial(1.0, 2.0, "[eng] a"), Partial(1.5, 2.0, "[eng] a"), DONE))
    assert [event.delta for event in events[:-1]] == ["a", " b"] and events[-1].text == "a b"


def test_one_who_waits_is_sent_signs_of_life_that_say_nothing(monkeypatch):
    monkeypatch.setattr(event_stream, "PATIENCE", 0.02)
    events = heard(Scripted(0.2, Partial(1.0, 2.0, "a"), 0.2, DONE))
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + [
        "transcript.text.done"
    ]


def test_what_goes_wrong_after_a_long_wait_is_an_error_all_the_same(monkeypatch):
    monkeypatch.setattr(event_stream, "PATIENCE", 0.02)
    (error,) = heard(Scripted(0.2, FAILED))
    assert "longer than 20 s" in error.message


@pytest.mark.parametrize("fault", [RuntimeError("told to nobody"), None])
def test_a_fault_of_ours_amid_the_events_frees_the_place(fault, monkeypatch):
    class Faulty(Scripted):
        async def run(self, job, descriptor):
            yield Partial(1.0, 2.0, "a")
            if fault:
                raise fault

    first, error = heard(Faulty())
    assert first.delta == "a" and error.code == "internal_error" and "nobody" not in str(error)
