"""``POST /transcribe``: row A9 of the predecessors, and what its users met."""

import http.client
import io
import json

import numpy as np
import pytest
import soundfile

from tests.serving.fronts import wav
from tests.serving.test_uploads import END, KIND, part, post


def sound(seconds=12.0, rate=16000, channels=1, container="WAV", subtype=None):
    """The bytes of a file of quiet sound."""
    content = io.BytesIO()
    samples = np.full((round(seconds * rate), channels), 0.01, np.float32)
    soundfile.write(content, samples, rate, format=container, subtype=subtype)
    return content.getvalue()


def ask(service, content, name=b"a.wav", **fields):
    """(status, headers, JSON)."""
    fields = {"model": "m", **fields}
    parts = [part(field.encode(), value.encode()) for field, value in fields.items()]
    return post(service, b"".join(parts) + part(b"file", content, name) + END)


@pytest.mark.parametrize(
    "content",
    [sound(), sound(rate=44100, channels=2), sound(container="FLAC"), sound(rate=8000),
     sound(container="OGG", subtype="VORBIS"), sound(container="OGG", subtype="OPUS"),
     sound(subtype="PCM_U8"), sound(subtype="FLOAT"), sound(container="MP3")],
    ids=["wav", "stereo", "flac", "8 kHz", "vorbis", "opus", "8 bit", "float", "mp3"],
)  # fmt: skip
def test_every_kind_of_file_gets_words_inside_its_duration(service, content):
    status, _, answer = ask(service, content)
    assert status == 200 and answer["text"] == answer["transcript"]
    assert answer["text"].endswith("w12") and answer["duration"] == pytest.approx(12, abs=0.2)
    assert answer["filename"] == "a.wav" and answer["model"] == "m"
    chunks = answer["chunks"]
    assert "".join(chunk["text"] for chunk in chunks) == answer["text"]
    times = [time for chunk in chunks for time in chunk["timestamp"]]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= answer["duration"]


def test_the_words_joined_are_the_text_of_a_long_recording_too(service):
    _, _, answer = ask(service, wav(95.0), language="eng")
    assert answer["text"].startswith("w16 w32 ") and answer["language"] == "eng"
    assert "".join(chunk["text"] for chunk in answer["chunks"]) == answer["text"]


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"some text\n" * 100, sound()[:44], b"\xff" * 99]
)
def test_what_is_no_audio_is_4xx_in_one_form(service, content):
    status, _, answer = ask(service, content)
    assert status == 400 and set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["param"] == "file"


def test_a_strangers_file_name_comes_back_as_it_is_shown(service):
    for name in ("речь.wav", "日本語.ogg", "a b'c.wav"):
        assert ask(service, wav(1.0), name.encode())[2]["filename"] == name


def test_events_come_a_line_each_and_end_with_the_transcript(service):
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    body = part(b"file", wav(60.0), b"a") + part(b"stream", b"true") + part(b"model", b"m") + END
    link.request("POST", "/transcribe", body, KIND)
    answer = link.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-ndjson"
    *partials, done = [json.loads(line) for line in answer.read().splitlines()]
    link.close()
    assert {event["type"] for event in partials} == {"partial"} and done["type"] == "done"
    words = [word["text"] for event in partials for word in event["words"]]
    assert done["transcript"]["hypotheses"][0]["text"].startswith(" ".join(words)) and words


def test_a_field_that_it_does_not_have_is_refused(service):
    status, _, answer = ask(service, wav(1.0), response_format="srt")
    assert status == 400 and answer["error"]["param"] == "response_format"
    assert "Fields: file, language, languages, model, stream, vad" in answer["error"]["message"]
