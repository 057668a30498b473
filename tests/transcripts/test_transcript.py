"""A transcript is one line of JSON and comes back from it as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit, from_json, to_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)
UNITS = st.lists(st.builds(Unit, st.text(), FINITE, FINITE, FINITE), max_size=3).map(tuple)
SCORE = st.none() | FINITE
HYPOTHESES = st.builds(
    Hypothesis, st.text(), FINITE, am_score=SCORE, lm_score=SCORE, words=UNITS, chars=UNITS
)
TRANSCRIPTS = st.builds(
    Transcript,
    st.text(min_size=1),
    st.lists(HYPOTHESES, min_size=1, max_size=3).map(tuple),
    st.none() | st.text(),
    SCORE,
    st.text(),
)


@given(TRANSCRIPTS)
def test_it_comes_back_from_one_line(transcript):
    line = to_json(transcript)
    assert "\n" not in line
    assert from_json(line) == transcript


def test_the_keys_are_the_fields_in_their_order():
    word = Unit("да", 0.5, 1.0, 0.9)
    line = to_json(Transcript("u", (Hypothesis("да", -1.0, words=(word,)),), "rus", 2.0))
    assert list(json.loads(line)) == [
        "utt_id",
        "hypotheses",
        "lang",
        "duration",
        "fault",
        "ended_early",
    ]
    assert '"words": [{"text": "да", "start": 0.5, "end": 1.0, "confidence": 0.9}]' in line


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '{"utt_id": "u"}', '{"hypotheses": [1]}',
                                  '{"hypotheses": [], "utt_id": "u", "other": 1}'])  # fmt: skip
def test_another_line_is_an_error(line):
    with pytest.raises(ValueError):
        from_json(line)


def test_minus_infinity_is_not_written():
    with pytest.raises(ValueError):
        to_json(Transcript("u", (Hypothesis("", float("-inf")),)))
