"""Words and characters with times: the text that decoding gives, in the frames of its tokens."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.decoding.align import TokenSpan
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.decoding.units import units_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import split_tag

SYMBOLS = {
    "char": ["<blank>", "<unk>", "[eng]", "[fra]", "<space>", "a", "b", "é", "<sos/eos>"],
    "bpe": ["<blank>", "<unk>", "[eng]", "[fra]", "▁", "▁ab", "a", "é▁b", "<sos/eos>"],
    "word": ["<blank>", "<unk>", "[eng]", "[fra]", "hello", "a", "wörld", "b", "<sos/eos>"],
}


def spans_of(symbols, tokens, frames=None, scores=None):
    """Spans of two frames each with a blank between them, unless ``frames`` says otherwise."""
    frames = frames or [(3 * n, 3 * n + 2) for n in range(len(symbols))]
    scores = scores or [0.0] * len(symbols)
    return [
        TokenSpan(tokens.index(symbol), *bounds, score)
        for symbol, bounds, score in zip(symbols, frames, scores, strict=True)
    ]


def times(units):
    return [(unit.text, unit.start, unit.end) for unit in units]


def test_characters_have_their_own_frames_and_words_those_of_their_ends():
    tokens = SYMBOLS["char"]
    symbols = ["[eng]", "<space>", "a", "b", "<space>", "é"]
    frames = [(0, 1), (1, 2), (4, 6), (9, 10), (10, 11), (20, 22)]
    words, chars = units_of(spans_of(symbols, tokens, frames), tokens, "char", 0.5)
    assert times(chars) == [("a", 2.0, 3.0), ("b", 4.5, 5.0), ("é", 10.0, 11.0)]
    assert times(words) == [("ab", 2.0, 5.0), ("é", 10.0, 11.0)]


def test_characters_of_one_piece_share_its_time():
    tokens = SYMBOLS["bpe"]
    words, chars = units_of(spans_of(["▁ab", "a", "▁ab"], tokens), tokens, "bpe", 1.0)
    assert times(words) == [("aba", 0, 5), ("ab", 6, 8)]
    assert times(chars)[:3] == [("a", 0, 2), ("b", 0, 2), ("a", 3, 5)]


def test_a_word_token_is_a_word():
    tokens = SYMBOLS["word"]
    words, chars = units_of(spans_of(["[fra]", "hello", "<unk>"], tokens), tokens, "word", 1.0)
    assert times(words) == [("hello", 3, 5), ("<unk>", 6, 8)]
    assert [char.text for char in chars] == [*"hello", "<unk>"]


def test_a_words_confidence_is_the_geometric_mean_over_its_characters():
    tokens, scores = SYMBOLS["char"], [math.log(0.9), math.log(0.4), math.log(0.1)]
    words, chars = units_of(
        spans_of(["a", "b", "<space>"], tokens, scores=scores), tokens, "char", 1.0
    )
    assert [char.confidence for char in chars] == pytest.approx([0.9, 0.4])
    assert words[0].confidence == pytest.approx(0.6)


def test_times_are_those_of_the_original_audio_and_stay_inside_it():
    tokens = SYMBOLS["char"]
    words, _ = units_of(spans_of(["a", "b"], tokens), tokens, "char", 0.02, 10.0, duration=10.09)
    assert times(words) == [("ab", 10.0, 10.09)]


def test_nothing_said_is_no_word():
    assert units_of([], SYMBOLS["char"], "char", 0.02) == ((), ())


def test_another_token_type_is_refused():
    with pytest.raises(UserError, match="token_type 'phone' is unknown"):
        units_of([], [], "phone", 0.02)


@given(
    token_type=st.sampled_from(list(SYMBOLS)),
    ids=st.lists(st.integers(1, 8), max_size=12),
    gaps=st.lists(st.integers(0, 4), min_size=24, max_size=24),
    duration=st.floats(0.0, 1.0),
)
def test_words_are_the_text_and_their_times_never_fall(token_type, ids, gaps, duration):
    tokens = SYMBOLS[token_type]
    edges = list(itertools.accumulate(gaps))
    spans = [TokenSpan(i, edges[2 * n], edges[2 * n + 1] + 1, -0.5) for n, i in enumerate(ids)]
    words, chars = units_of(spans, tokens, token_type, 0.02, duration=duration)
    text = split_tag(tokens_to_text(ids, tokens, token_type))[1]
    assert " ".join(word.text for word in words) == text
    assert "".join(char.text for char in chars) == text.replace(" ", "")
    for units in (words, chars):
        assert all(0 <= unit.start <= unit.end <= duration for unit in units)
        assert all(a.start <= b.start and a.end <= b.end for a, b in itertools.pairwise(units))
        assert all(unit.confidence == pytest.approx(math.exp(-0.5)) for unit in units)
