"""OpenAI's official client, strict about every answer, is the judge of our copy of its service."""

import io
import itertools
import urllib.request
import wave

import openai
import pytest

from tests.serving.fronts import wav
from tests.serving.stand_in import CRASH

TEXT = "w16 w25"  # of 25 seconds


@pytest.fixture(scope="module")
def client(service):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0,
                       _strict_response_validation=True) as made:  # fmt: skip
        yield made


def ask(client, content=None, **fields):
    fields, content = {"model": "m", **fields}, wav() if content is None else content
    return client.audio.transcriptions.create(file=("talk.wav", content), **fields)


def refused(client, kind=openai.BadRequestError, content=None, **fields):
    """The error that a request is answered with."""
    with pytest.raises(kind) as raised:
        ask(client, content, **fields)
    error = raised.value
    assert error.message and error.type and error.code and error.request_id
    assert "\n" not in error.body["message"]
    return error


def test_json_and_text_are_the_text_alone(client):
    answer = ask(client)
    assert answer.text == TEXT and answer.usage.seconds == 25 and answer.languages == []
    assert ask(client, response_format="json").text == TEXT
    assert ask(client, response_format="text") == TEXT + "\n"


def test_subtitles_are_files_and_no_quoted_json(client):
    assert ask(client, response_format="srt").startswith("1\n00:00:00,000 --> 00:00:16,000\nw16\n")
    assert ask(client, response_format="vtt").startswith("WEBVTT\n\n00:00:00.000 --> 00:00:16")


@pytest.mark.parametrize(
    ("chosen", "has_words", "has_segments"),
    [(None, False, True), (["segment"], False, True), (["word"], True, False),
     (["word", "segment"], True, True)],
)  # fmt: skip
def test_granularities_decide_what_verbose_json_has(client, chosen, has_words, has_segments):
    fields = {} if chosen is None else {"timestamp_granularities": chosen}
    answer = ask(client, response_format="verbose_json", language="en", **fields)
    assert (answer.duration, answer.language, answer.text) == (25.0, "eng", f"{TEXT} eng")
    assert (answer.words is not None, answer.segments is not None) == (has_words, has_segments)
    if has_words:
        assert [word.word for word in answer.words] == ["w16", "w25", "eng"]
        times = list(itertools.chain(*((word.start, word.end) for word in answer.words)))
        assert times == sorted(times) and times[-1] == 25
    if has_segments:
        assert " ".join(segment.text for segment in answer.segments) == answer.text


@pytest.mark.parametrize("response_format", ["json", "text", "srt", "vtt"])
@pytest.mark.parametrize("chosen", [["word"], ["segment"]])
def test_granularities_need_verbose_json(client, response_format, chosen):
    error = refused(client, response_format=response_format, timestamp_granularities=chosen)
    assert error.param == "timestamp_granularities"


def test_events_are_deltas_that_make_the_text_and_one_done(client):
    events = list(ask(client, stream=True))
    assert [event.type for event in events[-2:]] == [
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == TEXT
    long = list(ask(client, wav(120), stream=True))
    assert (
        "".join(event.delta for event in long[:-1]) == long[-1].text == ask(client, wav(120)).text
    )


def test_events_of_a_bad_recording_are_an_error_with_a_status(client):
    assert refused(client, content=b"no audio", stream=True).status_code == 400


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"response_format": "xml"}, "response_format"),
        ({"include": ["logprobs"]}, "include"),
        ({"keywords": ["zebra"]}, "keywords"),
        ({"known_speaker_names": ["Ann"]}, "known_speaker_names"),
        ({"language": "deu"}, "language"),
        ({"languages": ["en", "de"]}, "languages"),
        ({"language": "en", "languages": ["en"]}, "languages"),
        ({"temperature": 7}, "temperature"),
        ({"chunking_strategy": {"type": "server_vad", "threshold": 0.2}}, "chunking_strategy"),
        ({"timestamp_granularities": ["phone"], "response_format": "verbose_json"},
         "timestamp_granularities"),
        ({"stream": True, "response_format": "srt"}, "stream"),
        ({"extra_body": {"colour": "red"}}, "colour"),
        ({"extra_body": {"vad": "maybe"}}, "vad"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_served_is_refused_by_name(client, fields, param):
    assert refused(client, **fields).param == param


def test_a_model_that_is_not_served_is_not_found(client):
    error = refused(client, openai.NotFoundError, model="whisper-1")
    assert (error.code, error.param) == ("model_not_found", "model") and "second" in str(error)
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("whisper-1")
    assert raised.value.code == "model_not_found"


def test_the_models_are_listed_with_facts_of_their_cards(client):
    listed = client.models.list().data
    assert [model.id for model in listed] == ["m", "second"] and listed[0].languages == ["eng"]
    assert client.models.retrieve("second").id == "second"


def test_what_is_ignored_is_said(client):
    raw = client.audio.transcriptions.with_raw_response.create(
        file=("talk.wav", wav()), model="m", temperature=0.2, prompt="names: Ann, Bob"
    )
    assert raw.headers["x-ignored-parameters"] == "prompt, temperature"
    assert raw.parse().text == TEXT
    plain = client.audio.transcriptions.with_raw_response.create(file=("a", wav()), model="m")
    assert "x-ignored-parameters" not in plain.headers


def test_a_language_may_be_told_in_two_letters_or_three_or_left_to_the_model(client):
    for word in ("en", "eng", "EN", "en-GB"):
        assert ask(client, language=word).languages[0].code == "eng"
    assert ask(client, language="auto").languages == []
    assert ask(client, languages=["en"]).text.startswith(TEXT)


@pytest.mark.parametrize(
    "content", [b"RIFF????WAVEfmt ", b"\0" * 5000, wav(1.0, CRASH), b"hello", wav()[:50]],
    ids=["half a header", "zeros", "one that crashes its worker", "text", "no samples"],
)  # fmt: skip
def test_a_bad_recording_is_sent_once_and_answered_400(service, content):
    client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=5)
    before = answered(service)
    error = refused(client, content=content)
    assert error.code == "invalid_audio" and error.param == "file"
    assert answered(service) == before + 1
    client.close()


def answered(service):
    """Requests of transcriptions answered so far, by the service's own figures."""
    page = urllib.request.urlopen(f"{service.url}/metrics").read().decode()
    lines = [line for line in page.splitlines() if line.startswith("asr_dro_requests_total")]
    return sum(float(line.split()[-1]) for line in lines if "/v1/audio/transcriptions" in line)


def test_every_kind_of_file_that_the_client_takes_is_taken(client, tmp_path):
    path = tmp_path / "речь с пробелом.wav"
    path.write_bytes(wav())
    for file in (path, wav(), io.BytesIO(wav()), ("x.bin", wav(), "audio/wav")):
        assert client.audio.transcriptions.create(file=file, model="m").text == TEXT


def test_an_upload_of_no_seconds_is_refused(client):
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
    assert refused(client, content=content.getvalue()).code == "invalid_audio"
    assert refused(client, content=b"").code == "invalid_audio"
