"""Transcripts as answers: nothing of the text is lost, and times stay inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.serving.answers import (
    chunks,
    openai_json,
    plain,
    segments,
    verbose_json,
    words_of,
)
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit

WORD = st.text("abcż汉ก'-", min_size=1, max_size=12)
TIMES = st.floats(0, 40)


@st.composite
def transcripts(draw):
    """Of any words, with times as a decoder may leave them: beyond the end, backwards, equal."""
    texts = draw(st.lists(WORD, max_size=12))
    units = tuple(Unit(text, draw(TIMES), draw(TIMES), draw(st.floats(0, 1))) for text in texts)
    tag = draw(st.sampled_from(["", "[pol] "]))
    best = Hypothesis((tag + " ".join(texts)).strip(), 0.0, words=units)
    return Transcript("", (best,), "pol" if tag else None, draw(st.floats(1, 30)))


@given(transcripts())
def test_chunks_joined_are_the_text_and_their_times_never_go_back(transcript):
    made = chunks(transcript)
    assert "".join(chunk["text"] for chunk in made) == openai_json(transcript)["text"]
    starts = [chunk["timestamp"][0] for chunk in made]
    assert starts == sorted(starts)
    for chunk in made:
        start, end = chunk["timestamp"]
        assert 0 <= start <= end <= round(transcript.duration, 3)


@given(transcripts())
def test_segments_have_every_word_in_order_and_numbers_only(transcript):
    made = segments(transcript)
    assert " ".join(segment["text"] for segment in made) == openai_json(transcript)["text"]
    assert [segment["id"] for segment in made] == list(range(len(made)))
    for segment in made:
        assert segment["start"] <= segment["end"] and segment["avg_logprob"] <= 0
        assert segment["compression_ratio"] > 0


@given(transcripts(), st.lists(st.sampled_from(["word", "segment"]), max_size=2))
def test_verbose_json_has_what_was_asked_for(transcript, granularities):
    answer = verbose_json(transcript, granularities)
    assert (answer["words"] is not None) == ("word" in granularities)
    has_segments = "segment" in granularities or not granularities
    assert (answer["segments"] is not None) == has_segments


def test_nothing_said_is_an_empty_answer_in_every_format():
    silent = Transcript("", (Hypothesis("[eng]", 0.0),), "eng", 3.0)
    assert openai_json(silent)["text"] == "" and chunks(silent) == segments(silent) == []
    assert plain(silent, "text") == "\n" and plain(silent, "srt") == ""
    assert plain(silent, "vtt").startswith("WEBVTT")
    assert verbose_json(silent, ["word", "segment"])["words"] == []


def test_a_language_that_is_not_told_is_the_only_one_or_unknown():
    silent = Transcript("", (Hypothesis("", 0.0),), None, 3.0)
    assert verbose_json(silent, [], ["pol"])["language"] == "pol"
    assert verbose_json(silent, [], ["pol", "eng"])["language"] == "unknown"


@pytest.mark.parametrize("duration", [None, 2.0])
def test_times_beyond_the_end_are_the_end(duration):
    best = Hypothesis("a b", 0.0, words=(Unit("a", 1.0, 3.0, 1.0), Unit("b", 0.5, 4.0, 1.0)))
    first, second = words_of(Transcript("", (best,), None, duration))
    assert (first.start, first.end) == (1.0, duration or 3.0)
    assert (second.start, second.end) == (1.0, duration or 4.0)
