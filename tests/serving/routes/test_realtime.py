"""OpenAI's official client speaks to the service; so do clients that do what they must not."""

import asyncio
import base64
import contextlib
import json
import signal
import time
import urllib.request

import openai
import psutil
import pytest
import websockets
from openai._models import validate_type
from openai.types.realtime import RealtimeServerEvent

from tests.runtime.live.tones import pcm, says
from tests.serving.fronts import front

KEY = "sk-live"
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"
TALK = "Eabc de__"  # somebody says two words, and then nothing


@pytest.fixture(scope="module")
def live():
    """A service of two models that hear tones, one of them in windows; a key is needed."""
    limits = {"live_sessions": 3, "live_seconds": 60, "live_idle": 2.0, "max_queue": 4}
    models = {"tones": ".", "windows": "."}
    with front(models=models, api_key=KEY, origins=["https://known.example"], **limits) as running:
        yield running


def at_24_khz(text):
    """The tones of a text, as a client sends them."""
    from asr_dro_plugin.audio.files import resample

    return pcm(resample(says(text), 16000, 24000))


def pieces(sound, size=9_601):  # an odd number: samples are split between messages
    return [base64.b64encode(sound[n : n + size]).decode() for n in range(0, len(sound), size)]


def with_client(live, body, model="tones", key=KEY, **options):
    """Run ``body(connection)`` with the official client's connection."""

    async def run():
        async with (
            asyncio.timeout(30),
            openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key=key, max_retries=0) as client,
            client.realtime.connect(model=model, **options) as connection,
        ):
            return await body(connection)

    return asyncio.run(run())


async def until(connection, kind, num=1):
    """All events to the ``num``-th of a kind, each one valid to the field."""
    events = []
    while sum(event.type == kind for event in events) < num:
        raw = await connection.recv_bytes()
        validate_type(type_=RealtimeServerEvent, value=json.loads(raw))
        events.append(connection.parse_event(raw))
        assert kind == "error" or events[-1].type != "error", events[-1]
    return events


async def speak(connection, text):
    for piece in pieces(at_24_khz(text)):
        await connection.input_audio_buffer.append(audio=piece)


@pytest.mark.parametrize("model", ["tones", "windows"])
def test_words_come_as_deltas_and_items_end_at_pauses(live, model):
    async def body(connection):
        created = await connection.recv()
        await speak(connection, TALK + "fa bc__")
        return created, await until(connection, COMPLETED, 2)

    created, events = with_client(live, body, model)
    assert created.type == "session.created" and created.session.audio.input.format.rate == 24000
    done = [event for event in events if event.type == COMPLETED]
    assert [event.transcript for event in done] == ["abc de", "fa bc"]
    assert done[0].languages[0].code == "eng" and done[0].usage.type == "duration"
    for event in done:
        deltas = [e.delta for e in events if e.type == DELTA and e.item_id == event.item_id]
        assert "".join(deltas) == event.transcript and len(deltas) > 1
    kinds = [event.type for event in events]
    first = kinds[: kinds.index(COMPLETED)]
    assert first.index("input_audio_buffer.speech_started") < first.index(DELTA)
    assert first.index("input_audio_buffer.speech_stopped") < first.index(
        "input_audio_buffer.committed"
    )
    word = done[0].words[0]
    assert (word["word"], word["start"]) == ("abc", pytest.approx(0.08, abs=0.041))


def test_without_turn_detection_a_commit_alone_ends_an_item(live):
    async def body(connection):
        turns = {"audio": {"input": {"turn_detection": None, "transcription": {"language": "fr"}}}}
        await connection.session.update(session={"type": "transcription", **turns})
        await until(connection, "session.updated")
        await speak(connection, "abc_de__fa")
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED)
        await connection.input_audio_buffer.commit()  # of nothing
        errors = await until(connection, "error")
        await speak(connection, "abc")
        await connection.input_audio_buffer.clear()
        await until(connection, "input_audio_buffer.cleared")
        await speak(connection, "hg")
        await connection.input_audio_buffer.commit()
        return events, errors[-1], await until(connection, COMPLETED)

    events, error, last = with_client(live, body)
    assert events[-1].transcript == "abcdefa" and events[-1].languages[0].code == "fra"
    assert error.error.code == "input_audio_buffer_commit_empty"
    assert last[-1].transcript == "hg"


def test_a_client_that_makes_mistakes_is_told_and_goes_on(live):
    async def body(connection):
        await connection.recv()
        send, codes = connection._connection.send, []
        for message in ("{", "[1]", '{"type": "response.create"}', b"\xff\xfe", b'{"type": "x"}',
                        '{"type": "input_audio_buffer.append", "audio": "???"}',
                        '{"type": "session.update", "session": {"audio": {"input": '
                        '{"format": {"rate": 8000}}}}}', '{"type": "\\ud800"}'):  # fmt: skip
            await send(message)
            codes.append((await until(connection, "error"))[-1].error.code)
        await speak(connection, TALK)
        return codes, (await until(connection, COMPLETED))[-1].transcript

    codes, text = with_client(live, body)
    assert text == "abc de" and codes == [
        "invalid_json", "invalid_json", "unsupported_event", "invalid_json", "unknown_event",
        "invalid_value", "invalid_value", "unknown_event",
    ]  # fmt: skip


def test_all_at_once_is_heard_as_if_it_were_said_slowly(live):
    text = " ".join(["abc de fg"] * 30)

    async def body(connection):
        await connection.recv()
        (audio,) = pieces(at_24_khz(text + "__"), 1 << 30)  # 24 s: an item's most, and more
        await connection.input_audio_buffer.append(audio=audio)
        return await until(connection, COMPLETED, 2)

    events = with_client(live, body)
    assert " ".join(event.transcript for event in events if event.type == COMPLETED) == text


async def raw(live, path="/v1/realtime?model=tones", **options):
    headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
    url = f"ws://127.0.0.1:{live.port}{path}"
    return await websockets.connect(url, additional_headers=headers, **options)


async def status_of(live, **options):
    """HTTP status and error with which a connection is refused."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await raw(live, **options)
    body = refused.value.response.body
    return refused.value.response.status_code, json.loads(body)["error"]["code"] if body else None


def test_who_must_not_is_not_let_in(live):
    async def body():
        ask = lambda **options: status_of(live, **options)  # noqa: E731
        assert await ask(path="/v1/realtime?model=other") == (404, "model_not_found")
        assert await ask(headers={"Authorization": "Bearer wrong"}) == (401, "invalid_api_key")
        foreign = await ask(origin="https://evil.example")
        assert foreign == (403, "origin_not_allowed")
        for origin in ("https://known.example", live.url):
            await (await raw(live, origin=origin)).close()
        browser = await websockets.connect(
            f"ws://127.0.0.1:{live.port}/v1/realtime?model=tones",
            subprotocols=["realtime", f"openai-insecure-api-key.{KEY}"],
        )
        assert browser.subprotocol == "realtime"
        await browser.close()

    asyncio.run(body())


def test_sessions_are_counted_and_one_that_is_left_makes_room(live):
    async def body():
        open_ones = [await raw(live) for _ in range(3)]
        assert await status_of(live) == (503, "too_many_sessions")
        for each in open_ones:
            await each.send(append_of("abc"))
        open_ones[0].transport.abort()  # gone, without a word
        for _ in range(100):
            with contextlib.suppress(websockets.InvalidStatus):
                open_ones[0] = await raw(live)
                break
            await asyncio.sleep(0.05)
        for each in open_ones:
            await each.close()
        await nobody_is_in(live)

    asyncio.run(body())


def append_of(text):
    (audio,) = pieces(at_24_khz(text), 1 << 30)
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio})


async def nobody_is_in(live, seconds=10):
    """Wait until no place is taken, by the service's own figures."""
    request = urllib.request.Request(
        f"{live.url}/metrics", headers={"Authorization": f"Bearer {KEY}"}
    )
    for _ in range(seconds * 20):
        page = (await asyncio.to_thread(urllib.request.urlopen, request)).read().decode()
        if "pool_admitted 0.0" in page and "pool_running 0.0" in page:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(page)


async def rest_of(connection):
    """Events until the service closes the connection, and the code."""
    events = []
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            events.append(json.loads(await connection.recv()))
    return events, connection.close_code


def test_one_who_says_nothing_more_is_closed_and_gets_what_was_said(live):
    async def body():
        connection = await raw(live)
        await connection.send(append_of("abc de"))
        events, code = await rest_of(connection)
        await nobody_is_in(live)
        return events, code

    events, code = asyncio.run(body())
    assert [event["transcript"] for event in events if event["type"] == COMPLETED] == ["abc de"]
    assert (events[-1]["error"]["code"], code) == ("session_idle", 1000)


def test_a_session_has_an_end_and_messages_a_size(live):
    async def body():
        connection = await raw(live)
        for _ in range(2):
            await connection.send(append_of("_" * 31))
        events, code = await rest_of(connection)
        large = await raw(live)
        with contextlib.suppress(websockets.ConnectionClosed):
            await large.send("x" * (5 << 20))
        return events, code, await rest_of(large)

    events, code, (_, large) = asyncio.run(body())
    assert (events[-1]["error"]["code"], code, large) == ("session_expired", 1000, 1009)


def test_a_killed_worker_ends_the_session_with_an_error_and_the_service_goes_on():
    with front(models={"tones": "."}, workers=1) as running:

        async def body():
            connection = await raw(running)
            await connection.send(append_of("abc"))
            await asyncio.sleep(0.3)  # until it has a worker
            (worker,) = psutil.Process(running.process.pid).children()
            worker.kill()
            events, code = await rest_of(connection)
            assert await status_of(running, path="/v1/realtime?model=x") == (404, "model_not_found")
            again = await raw(running)
            await again.send(append_of(TALK))
            async for message in again:
                if json.loads(message)["type"] == COMPLETED:
                    return events, code, json.loads(message)["transcript"]

        events, code, text = asyncio.run(body())
        assert (events[-1]["error"]["code"], code, text) == ("worker_lost", 1013, "abc de")

        async def drained():
            connection = await raw(running)
            await connection.send(append_of("fa bc"))
            await asyncio.sleep(0.5)
            began = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            events, code = await rest_of(connection)
            return events, code, time.monotonic() - began

        events, code, seconds = asyncio.run(drained())
        assert [event["transcript"] for event in events if event["type"] == COMPLETED] == ["fa bc"]
        assert (events[-1]["error"]["code"], code) == ("draining", 1012) and seconds < 6
        assert running.process.wait(10) == 0
        assert not any(word in running.log for word in ("ERROR", "Traceback", "fa bc"))
