"""What a client's messages mean, and that none of them ends a session or the service."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type_unchecked, validate_type
from openai.types.realtime import RealtimeServerEvent

from asr_dro_plugin.serving.live_wire import AUDIO, CLEAR, COMMIT, SETTINGS, FrameReader
from asr_dro_plugin.serving.realtime import Conversation

MODELS = {"m": {"languages": ["eng", "fra"]}, "n": {"languages": []}}
INPUT = "session.audio.input"
SECOND = base64.b64encode(bytes(48000)).decode()


def conversation(model="m", **models):
    return Conversation({**MODELS, **models}, model)


def heed(talk, kind, **more):
    return talk.heed(json.dumps({"type": kind, **more}))


def update(talk, **given):
    """``session.update`` of the input."""
    return heed(
        talk, "session.update", session={"type": "transcription", "audio": {"input": given}}
    )


def append(talk, audio=SECOND):
    return heed(talk, "input_audio_buffer.append", audio=audio)


def kinds(events):
    return [event["type"] for event in events]


def to_worker(talk):
    """What goes to the worker, taken away."""
    reader, found = FrameReader(), []
    reader.feed(b"".join(talk.to_worker))
    talk.to_worker.clear()
    while frame := reader.next():
        found.append(frame)
    return found


def final(text="abc", by="commit", end=1.0):
    words = [{"text": word, "start": 0.0, "end": end, "confidence": 1.0} for word in text.split()]
    return {"type": "final", "text": text, "words": words, "lang": "eng", "start": 0.0, "end": end,
            "by": by}  # fmt: skip


def interim(text):
    words = [{"text": word, "start": 0.0, "end": 1.0, "confidence": 1.0} for word in text.split()]
    return {"type": "interim", "words": words, "guess": ""}


def check(events):
    """Every event is one of the official client's, field by field."""
    for event in events:
        validate_type(type_=RealtimeServerEvent, value=event)
        made = construct_type_unchecked(value=event, type_=RealtimeServerEvent)
        assert type(made).__name__ != "dict" and made.type == event["type"]


def test_without_turn_detection_commits_make_items_in_order():
    talk = conversation()
    assert kinds(update(talk, turn_detection=None)) == ["session.updated"]
    events = append(talk) + heed(talk, "input_audio_buffer.commit")
    events += append(talk) + heed(talk, "input_audio_buffer.commit")
    committed = [e for e in events if e["type"] == "input_audio_buffer.committed"]
    assert [e["previous_item_id"] for e in committed] == [None, committed[0]["item_id"]]
    said = talk.said(interim("a b")) + talk.said(interim("c")) + talk.said(final("a b c"))
    assert not talk.is_settled
    said += talk.said(final("d", end=2.0))
    assert talk.is_settled
    assert [e["item_id"] for e in said] == [committed[0]["item_id"]] * 3 + [committed[1]["item_id"]]
    assert [e.get("delta") or e["transcript"] for e in said] == ["a b", " c", "a b c", "d"]
    assert said[-1]["usage"] == {"type": "duration", "seconds": 2.0}
    assert said[-1]["words"] == [{"word": "d", "start": 0.0, "end": 2.0, "confidence": 1.0}]
    assert [kind for kind, _ in to_worker(talk)] == [SETTINGS, AUDIO, COMMIT, AUDIO, COMMIT]
    check([talk.created(), *events, *said])


def test_with_turn_detection_pauses_make_items():
    talk = conversation()
    append(talk)
    said = talk.said({"type": "started", "seconds": 0.25}) + talk.said(interim("abc"))
    said += talk.said({"type": "stopped", "seconds": 0.5}) + talk.said(final("abc", "pause", 0.75))
    assert kinds(said) == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert len({e.get("item_id") or e["item"]["id"] for e in said}) == 1
    assert (said[0]["audio_start_ms"], said[2]["audio_end_ms"]) == (250, 500)
    assert talk.pending == 0.25
    check(said)


def test_a_failed_item_is_told_by_name_and_the_next_one_is_another():
    talk = conversation()
    update(talk, turn_detection=None)
    (committed, *_) = append(talk) + heed(talk, "input_audio_buffer.commit")
    (failed,) = talk.said({"type": "failed", "message": "no", "by": "commit"})
    assert failed["item_id"] == committed["item_id"] and failed["error"]["message"] == "no"
    check([failed])
    assert talk.is_settled and talk.said(interim("a"))[0]["item_id"] != committed["item_id"]


def test_an_update_is_shown_and_reaches_the_worker_before_the_sound():
    talk = conversation(None)
    (shown,) = update(
        talk,
        format={"type": "audio/pcm", "rate": 16000},
        transcription={"model": "m", "language": "en"},
        turn_detection={"type": "server_vad", "silence_duration_ms": 800},
    )
    got = shown["session"]["audio"]["input"]
    assert got["format"]["rate"] == 16000
    assert got["transcription"] == {
        "model": "m",
        "language": "eng",
    }
    assert got["turn_detection"] == {
        "type": "server_vad", "threshold": 0.5, "silence_duration_ms": 800,
    }  # fmt: skip
    append(talk)
    (_, told), _ = to_worker(talk)
    assert json.loads(told) == {"rate": 16000, "language": "eng", "silence": 0.8, "threshold": 0.5}
    assert talk.seconds == 1.5
    assert kinds(update(talk, transcription={"languages": ["fr", "eng"]})) == ["session.updated"]
    assert json.loads(to_worker(talk)[0][1])["language"] == ["fra", "eng"]
    assert talk.said(final("", "settings")) == []  # nothing was said before


REFUSED = [
    ({"format": {"rate": 44100}}, f"{INPUT}.format.rate"),
    ({"format": {"rate": "24000"}}, f"{INPUT}.format.rate"),
    ({"format": {"type": "audio/pcmu"}}, f"{INPUT}.format.type"),
    ({"format": []}, f"{INPUT}.format"),
    ({"transcription": {"model": "gpt-4o-transcribe"}}, f"{INPUT}.transcription.model"),
    ({"transcription": {"model": ["m"]}}, f"{INPUT}.transcription.model"),
    ({"transcription": {"language": "xx"}}, f"{INPUT}.transcription.language"),
    ({"transcription": {"language": 3}}, f"{INPUT}.transcription"),
    ({"transcription": {"languages": ["eng", None]}}, f"{INPUT}.transcription.languages"),
    ({"turn_detection": {"type": "semantic_vad"}}, f"{INPUT}.turn_detection.type"),
    ({"turn_detection": {"silence_duration_ms": 1}}, f"{INPUT}.turn_detection.silence_duration_ms"),
    ({"turn_detection": {"threshold": True}}, f"{INPUT}.turn_detection.threshold"),
    ({"turn_detection": {"treshold": 0.5}}, f"{INPUT}.turn_detection.treshold"),
    ({"noise_reduction": {"type": "near_field"}}, f"{INPUT}.noise_reduction"),
]


@pytest.mark.parametrize("given, param", REFUSED)
def test_a_setting_that_cannot_be_is_refused_by_name_and_changes_nothing(given, param):
    talk = conversation()
    before = talk.created()["session"]
    (error,) = update(talk, **{"turn_detection": None, **given})
    assert error["error"]["param"] == param and error["error"]["type"] == "invalid_request_error"
    assert talk.created()["session"] == before
    check([error])


@pytest.mark.parametrize(
    "message, code",
    [
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        (b"\xff", "invalid_json"),
        ("[]", "invalid_json"),
        ("{}", "missing_required_parameter"),
        ('{"type": "input_audio_buffer.apend"}', "unknown_event"),
        ('{"type": "response.create"}', "unsupported_event"),
        ('{"type": "session.update"}', "missing_required_parameter"),
        ('{"type": "session.update", "session": {"type": "realtime"}}', "invalid_value"),
        ('{"type": "input_audio_buffer.append"}', "missing_required_parameter"),
        ('{"type": "input_audio_buffer.append", "audio": "A"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": "\u00e9"}', "invalid_value"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty"),
    ],
)
def test_what_is_no_event_is_answered_with_an_error(message, code):
    talk = conversation()
    (error,) = talk.heed(message)
    assert error["error"]["code"] == code
    assert append(talk) == [] and talk.seconds == 1.0  # it goes on
    check([error])


def test_an_error_names_the_event_that_it_is_about():
    (error,) = heed(conversation(), "x", event_id="mine")
    assert error["error"]["event_id"] == "mine"
    (error,) = heed(conversation(), "x", event_id={"not": "text"})
    assert error["error"]["event_id"] is None


def test_a_model_must_be_named_where_there_are_several_and_stays():
    talk = conversation(None)
    (error,) = append(talk)
    assert error["error"]["param"] == f"{INPUT}.transcription.model" and talk.seconds == 0
    update(talk, transcription={"model": "m"})
    append(talk)
    (error,) = update(talk, transcription={"model": "n"})
    assert "cannot be changed" in error["error"]["message"]


def test_samples_that_two_messages_share_are_no_error():
    talk = conversation()
    append(talk, base64.b64encode(b"\1\2\3").decode())
    append(talk, base64.b64encode(b"\4\5\6").decode())
    assert b"".join(audio for kind, audio in to_worker(talk) if kind == AUDIO) == b"\1\2\3\4\5\6"


def test_a_clear_forgets_and_the_end_of_a_session_does_not():
    talk = conversation()
    append(talk)
    heed(talk, "input_audio_buffer.clear")
    assert talk.pending == 0 and talk.end() == []
    append(talk)
    assert talk.end() == [] and not talk.is_settled  # with turn detection the worker ends it
    assert [kind for kind, _ in to_worker(talk)][-3:] == [CLEAR, AUDIO, COMMIT]
    assert talk.said(final("", "commit")) == [] and talk.is_settled


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([SECOND, "transcription", "server_vad", "m", "eng", 24000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "audio", "input", "format", "rate", "session", "transcription",
                         "model", "language", "languages", "turn_detection", "threshold",
                         "include", "event_id"]) | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
TYPES = st.sampled_from(["session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
                         "input_audio_buffer.clear", "response.create", "x"])  # fmt: skip


@given(st.lists(st.tuples(TYPES, st.dictionaries(
    st.sampled_from(["session", "audio", "event_id"]), ANY)), max_size=6))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_no_message_raises_and_every_answer_is_an_event(messages):
    talk = conversation()
    for kind, more in messages:
        check(heed(talk, kind, **more))
    json.dumps(talk.created())
