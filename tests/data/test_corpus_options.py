"""asr_dro_plugin/data/corpus_options.py: what every corpus script takes."""

import pytest

from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
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


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("Name it: --columns 'path=x'.", " (In ./run.sh: --local_data_opts '--columns ...'.)"),
        ("Mend it, or raise --max_drop.", ""),
        ("--data_source x is no table.", ""),
    ],
)
def test_an_option_that_run_sh_hands_on_is_told_with_the_option_that_does(said, more, capsys):
    def main():
        raise UserError(said)

    with pytest.raises(SystemExit):
        run_corpus(main)
    assert capsys.readouterr().err == f"ERROR: {said}{more}\n"
