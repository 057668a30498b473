"""A function without a server: events of several forms in, the answer of POST /transcribe out."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.runtime import Recogniser
from asr_dro_plugin.serving import function
from asr_dro_plugin.text.normalizers import split_tag
from tests.export.onnx.exps import speech
from tests.runtime.conftest import experiment, exported  # noqa: F401  the fixtures


def wav(samples, rate=16000):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV")
    return stream.getvalue()


@pytest.fixture
def call(exported, monkeypatch):  # noqa: F811
    function._loaded.cache_clear()
    monkeypatch.setenv(function.MODEL, str(exported))
    yield lambda event: _read(function.handler(event))
    function._loaded.cache_clear()


def _read(answer):
    assert answer["headers"]["content-type"].startswith("application/json")
    return answer["statusCode"], json.loads(answer["body"])


AUDIO = wav(speech(3 * 16000))
CODED = base64.b64encode(AUDIO).decode()


@pytest.mark.parametrize(
    "event",
    [
        {"audio": CODED},
        {"body": CODED, "isBase64Encoded": True, "headers": {"Content-Type": "audio/wav"}},
        {"body": AUDIO},
        {"body": CODED, "queryStringParameters": None, "headers": None},
    ],
    ids=["plain", "gateway", "bytes", "nulls"],
)
def test_audio_in_any_form_is_transcribed(call, exported, event):  # noqa: F811
    status, said = call(event)
    expected = Recogniser(exported).transcribe(AUDIO)
    assert status == 200 and said["text"] == split_tag(expected.text)[1] != ""
    assert "".join(chunk["text"] for chunk in said["chunks"]) == said["text"] == said["transcript"]
    assert said["duration"] == 3 and said["language"] == expected.lang


def test_language_and_vad_are_wishes_of_the_event(call):
    for code in ("deu", "eng"):
        for event in ({"audio": CODED, "language": code, "vad": True},
                      {"body": CODED, "queryStringParameters": {"language": code}}):  # fmt: skip
            assert call(event)[1]["language"] == code
    assert call({"audio": CODED, "language": "deu, eng"})[0] == 200


@pytest.mark.parametrize(
    "event, status, fact",
    [
        ([], 400, "is no object"),
        ({}, 400, "There is no audio"),
        ({"body": ""}, 400, "There is no audio"),
        ({"audio": 3}, 400, "no text of base64"),
        ({"audio": "ä!"}, 400, "no base64"),
        ({"audio": base64.b64encode(b"no audio").decode()}, 400, "cannot be decoded"),
        ({"audio": CODED, "language": "fra"}, 400, "knows no language 'fra'"),
        ({"audio": CODED, "language": 3}, 400, "'language' must be"),
        ({"audio": CODED, "vad": "perhaps"}, 400, "'vad' must be"),
        ({"audio": CODED, "url": "http://x"}, 400, "no field 'url'"),
        ({"body": CODED, "headers": {"content-type": "multipart/form-data"}}, 415, "A form is not"),
        ({"audio": base64.b64encode(wav(np.zeros(9000), 1000)).decode()}, 400, "samples a second"),
        ({"audio": base64.b64encode(wav(speech(99))).decode()}, 400, "too short"),
    ],
)
def test_what_is_the_events_fault_is_4xx(call, event, status, fact):
    found, said = call(event)
    assert found == status and fact in said["error"]["message"]
    assert said["error"]["type"] == "invalid_request_error" and "\n" not in str(said)


def test_it_may_be_called_by_any_thread(call):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(call, [{"audio": CODED}] * 8))
    assert {status for status, _ in found} == {200} and len({str(said) for _, said in found}) == 1


def test_what_is_too_long_is_refused(call, monkeypatch):
    monkeypatch.setenv(function.MAX_SECONDS, "2")
    assert call({"audio": CODED})[0] == 413


def test_a_model_that_is_not_there_is_the_functions_fault_and_tried_again(call, monkeypatch):
    good = {"audio": CODED}
    with monkeypatch.context() as other:
        other.setenv(function.MODEL, "/nowhere")
        status, said = call(good)
        assert status == 500 and "/nowhere does not exist" in said["error"]["message"]
        other.delenv(function.MODEL)
        assert function.MODEL in call(good)[1]["error"]["message"]
    assert call(good)[0] == 200
