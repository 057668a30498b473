"""What users of other services of this kind reported in public, tried here."""

import http.client
import json

import pytest

from tests.serving.fronts import wav
from tests.serving.test_uploads import END, KIND, part

PATH = "/v1/audio/transcriptions"


def ask(service, *parts, **fields):
    """(status, headers, text) of a form that is written by hand."""
    fields = {"model": "m", **fields}
    parts = [*(part(name.encode(), value.encode()) for name, value in fields.items()), *parts]
    parts = parts if any(b'name="file"' in each for each in parts) else [*parts, FILE]
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        link.request("POST", PATH, b"".join(parts) + END, KIND)
        answer = link.getresponse()
        return answer.status, answer.headers, answer.read().decode("utf-8")
    finally:
        link.close()


FILE = part(b"file", wav(25.0), "0511 会议.m4a".encode())


@pytest.mark.parametrize(
    ("response_format", "kind", "start"),
    [("text", "text/plain", "w16 w25\n"), ("srt", "application/x-subrip", "1\n00:00:00,000"),
     ("vtt", "text/vtt", "WEBVTT\n\n00:00")],
)  # fmt: skip
def test_plain_formats_are_quoted_as_json(service, response_format, kind, start):
    """whisperx-api-server, issue 4; tiny-openai-whisper-api, issue 7."""
    _, headers, text = ask(service, response_format=response_format)
    assert headers["Content-Type"] == f"{kind}; charset=utf-8" and text.startswith(start)


def test_numbers_come_as_texts_and_segments_as_a_mapping(service):
    """vLLM, pull request 24209; whisperx-api-server, issue 4."""
    answer = json.loads(ask(service, response_format="verbose_json")[2])
    assert answer["duration"] == 25.0 and isinstance(answer["segments"], list)


@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]",
                                  "timestamp_granularities[0]"])  # fmt: skip
def test_a_list_is_only_known_with_its_brackets(service, name):
    """speaches, issue 29."""
    answer = json.loads(ask(service, response_format="verbose_json", **{name: "word"})[2])
    assert answer["words"] and answer["segments"] is None


def test_events_are_those_of_another_route_with_an_end_for_each_chunk(service):
    """vLLM, issue 49116."""
    _, headers, text = ask(service, stream="true")
    assert headers["Content-Type"].startswith("text/event-stream")
    blocks = text.split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""] and text.count("transcript.text.done") == 1
    for block in blocks[:-2]:
        assert json.loads(block.removeprefix("data: "))["type"].startswith("transcript.text.")


def test_an_empty_language_is_refused(service):
    """witsy, issue 340: clients send the field empty for "whichever"."""
    assert ask(service, language="", temperature="", prompt="", response_format="")[0] == 200


def test_a_part_without_a_file_name_is_a_fault_of_the_service(service):
    """guidellm, issue 983."""
    assert ask(service, part(b"file", wav(25.0), None, b"audio/wav"))[0] == 200
    status, _, text = ask(service, part(b"file", b"talk.wav"))
    assert status == 400 and json.loads(text)["error"]["param"] == "file"


def test_a_name_in_another_script_is_blamed_for_what_it_did_not_do(service):
    """openasr, pull request 25."""
    assert ask(service, FILE)[0] == 200
