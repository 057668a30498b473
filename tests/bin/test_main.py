"""``asr-dro``: the list of commands, and one line for a word that is none."""

import pytest

from asr_dro_plugin.bin.main import COMMANDS, dispatch
from asr_dro_plugin.errors import UserError


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_without_a_command_all_are_listed(words, capsys):
    assert dispatch(words) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize(
    "word, said",
    [
        ("scroe", "no command 'scroe'.*score.*Commands: transcribe, "),
        ("plan", "asr-dro plan is asr-dro info now"),
    ],
)
def test_a_word_that_is_no_command_is_refused_in_one_line(word, said):
    with pytest.raises(UserError, match=said) as refused:
        dispatch([word])
    assert "\n" not in str(refused.value)


def test_a_command_gets_the_words_behind_it(capsys):
    with pytest.raises(SystemExit) as ended:
        dispatch(["watch", "--help"])
    assert ended.value.code == 0 and "--interval" in capsys.readouterr().out
