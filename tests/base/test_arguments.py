import argparse

import pytest

from asr_dro_plugin.base.arguments import boolean, fraction


def test_booleans_are_the_words_true_and_false():
    assert boolean("true") is True and boolean("false") is False
    for word in ("True", "1", "yes", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            boolean(word)


def test_fractions_lie_from_zero_to_one():
    assert [fraction(word) for word in ("0", "0.05", "1")] == [0, 0.05, 1]
    for word in ("-0.1", "1.1", "5%", "nan"):
        with pytest.raises(argparse.ArgumentTypeError):
            fraction(word)
