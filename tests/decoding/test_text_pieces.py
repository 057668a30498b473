"""A recording and its text fall into the same pieces."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.segment import Lengths, cut_words
from asr_dro_plugin.transcripts.transcript import Unit


def words_of(lengths_and_gaps):
    """w0 w1 … of the given seconds, each with its pause after it."""
    words, at = [], 0.0
    for number, (length, gap) in enumerate(lengths_and_gaps):
        words.append(Unit(f"w{number}", at, at + length, 0.9))
        at += length + gap
    return words, at


@settings(deadline=None)
@given(
    timing=st.lists(st.tuples(st.floats(0.0, 2), st.floats(0, 1.5)), max_size=60),
    cut_speech=st.booleans(),
)
def test_the_pieces_texts_are_the_whole_text(timing, cut_speech):
    words, duration = words_of(timing)
    pieces = cut_words(words, Lengths(2, 8), duration, 0.3, cut_speech)
    assert " ".join(text for _, text, _ in pieces).split() == [word.text for word in words]
    assert all(text for _, text, _ in pieces)
    by_text = {word.text: word for word in words}
    for piece, text, _ in pieces:
        inside = [by_text[name] for name in text.split()]
        assert piece.start - 1e-9 <= inside[0].start and inside[-1].end <= piece.end + 1e-9
    for (before, *_), (after, *_) in itertools.pairwise(pieces):
        assert before.end <= after.start + 1e-9


def test_cuts_lie_in_the_pauses_between_words():
    words, duration = words_of([(0.4, 0.1), (0.4, 0.6)] * 10)
    pieces = cut_words(words, Lengths(2, 5), duration)
    assert all(len(text.split()) % 2 == 0 and not piece.faults for piece, text, _ in pieces)


def test_words_without_a_pause_are_parted_only_where_that_is_allowed():
    words, duration = words_of([(0.4, 0.05)] * 40)
    [(piece, text, _)] = cut_words(words, Lengths(2, 5), duration)
    assert piece.faults == ("too long",) and len(text.split()) == 40
    parted = cut_words(words, Lengths(2, 5), duration, cut_speech=True)
    assert [piece.faults for piece, *_ in parted[1:]] == [("begins in speech",)] * (len(parted) - 1)
    assert all(2 <= piece.end - piece.start <= 5 for piece, *_ in parted)


def test_where_nothing_parts_the_words_the_widest_gap_does():
    gaps = [0.05] * 14
    gaps[7] = 0.25
    words, duration = words_of([(0.5, gap) for gap in gaps])
    parted = cut_words(words, Lengths(2, 6), duration, cut_speech=True)
    assert [len(text.split()) for _, text, _ in parted] == [8, 6]


def test_no_word_is_no_piece():
    assert cut_words([], Lengths(2, 5), 10.0) == []


def test_a_pieces_score_is_the_mean_over_the_characters_that_are_said():
    words = [Unit("ab", 0, 1, 0.5), Unit("-", 1, 1, 1.0), Unit("cdef", 1, 2, 0.25)]
    [piece] = cut_words(words, Lengths(1, 5), 2.0)
    assert piece.score == pytest.approx((2 * math.log(0.5) + 4 * math.log(0.25)) / 6)
    [piece] = cut_words([Unit("ab", 0, 1, 0.0)], Lengths(1, 5), 2.0)
    assert piece.score < -60
