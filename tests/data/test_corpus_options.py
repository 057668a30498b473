"""asr_dro_plugin/data/corpus_options.py: what every corpus script takes."""

import pytest

from asr_dro_plugin.data.corpus_options import OptionParser
from asr_dro_plugin.errors import UserError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lidd", "true"], r"--lidd does not apply to corpus toy\. Did you mean 'lid'\?"),
        (["--lid", "yes"], "'yes' is neither true nor false"),
        (["--max_drop", "5"], "'5' is not a number from 0 to 1"),
        (["--seed", "x"], "--seed"),
    ],
)
def test_wrong_options_are_one_line(words, message):
    with pytest.raises(UserError, match=message) as caught:
        OptionParser("toy", "").parse_args(words)
    assert "\n" not in str(caught.value)
