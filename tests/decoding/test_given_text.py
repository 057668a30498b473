"""A known text is placed word by word in a model's output, in the text's own spelling."""

import math

import numpy as np
import pytest

from asr_dro_plugin.decoding.units import TextAligner
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import lower_no_punct

TOKENS = ["<blank>", "<unk>", "[eng]", "<space>", *"abcdehlotw", "<sos/eos>"]


def sharp_emission(symbols, frame_shift=0.02):
    """Each symbol for two frames with three blanks after it; and where each begins."""
    path = [index for symbol in symbols for index in (*[TOKENS.index(symbol)] * 2, 0, 0, 0)]
    log_probs = np.full((1, len(path), len(TOKENS)), math.log(1e-4), np.float32)
    log_probs[0, np.arange(len(path)), path] = math.log(0.99)
    return Emission(log_probs, np.array([len(path)]), frame_shift, 0, TOKENS)


def spelled(text):
    return ["<space>" if char == " " else char for char in text]


def times(units):
    return [(unit.text, round(unit.start, 4), round(unit.end, 4)) for unit in units]


def test_words_lie_where_the_model_says_them_within_one_frame():
    emission = sharp_emission(["[eng]", "<space>", *spelled("hello to all")])
    aligned = TextAligner(TOKENS, "char")(emission, "[eng] hello to all")
    assert times(aligned.words) == [("hello", 0.2, 0.64), ("to", 0.8, 0.94), ("all", 1.1, 1.34)]
    assert "".join(char.text for char in aligned.chars) == "hellotoall"
    assert aligned.score == pytest.approx(math.log(0.99), abs=1e-5)


def test_words_keep_the_spelling_of_the_text():
    emission = sharp_emission(spelled("well a b led"))
    aligner = TextAligner(TOKENS, "char", normalize=lower_no_punct)
    words = aligner(emission, "Well — A-B, led!", duration=1.16).words
    assert [word.text for word in words] == ["Well", "—", "A-B,", "led!"]
    assert times(words)[1] == ("—", 0.34, 0.34)
    assert times(words)[2] == ("A-B,", 0.5, 0.74)
    assert words[3].end <= 1.16


def test_a_tag_goes_along_where_the_model_knows_it():
    emission = sharp_emission(["[eng]", "<space>", "a"])
    aligner = TextAligner(TOKENS, "char")
    tagged, named, bare = (
        aligner(emission, "[eng] a"), aligner(emission, "a", "eng"), aligner(emission, "a", "deu")
    )  # fmt: skip
    assert times(tagged.words) == times(named.words) == times(bare.words) == [("a", 0.2, 0.24)]


def test_characters_without_a_token_are_named():
    emission = sharp_emission(spelled("ab"))
    with pytest.raises(UserError, match=r"no word of the text, which has 'A' 'ж'. .*--text_norm"):
        TextAligner(TOKENS, "char")(emission, "Aж жb")
    assert TextAligner(TOKENS, "char")(emission, "Aж b").unknown == {"Aж": "'A' 'ж'"}
    without_space = TextAligner([t for t in TOKENS if t != "<space>"], "char")
    with pytest.raises(UserError, match="The text has '<space>', for which"):
        without_space(emission, "a b")


def test_a_text_too_long_for_its_audio_is_refused():
    with pytest.raises(UserError, match="too few for 30 tokens"):
        TextAligner(TOKENS, "char")(sharp_emission(["a", "b"]), "ab" * 15)


def test_an_empty_text_has_no_word():
    aligned = TextAligner(TOKENS, "char", normalize=lower_no_punct)(
        sharp_emission(["a"]), "", "eng"
    )
    assert (aligned.words, aligned.chars, aligned.score) == ((), (), 0.0)
    only_marks = TextAligner(TOKENS, "char", normalize=lower_no_punct)(sharp_emission(["a"]), "?!")
    assert times(only_marks.words) == [("?!", 0, 0)]


def test_a_text_that_is_not_said_scores_low():
    emission = sharp_emission(spelled("hello to all"))
    aligner = TextAligner(TOKENS, "char")
    assert aligner(emission, "hello to all").score > -0.1
    assert aligner(emission, "bad bed").score < -2
