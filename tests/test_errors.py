"""run_main: one line for the user, and an exit code that a cluster's script can act on."""

import pytest

from asr_dro_plugin.errors import DiskFull, TrainingStopped, UserError, run_main


def exit_of(main) -> int:
    with pytest.raises(SystemExit) as left:
        run_main(main)
    return left.value.code


@pytest.mark.parametrize(("error", "code"), [(UserError, 1), (DiskFull, 74), (TrainingStopped, 75)])
def test_each_user_error_is_one_line_and_its_own_exit_code(error, code, capsys):
    def main():
        raise error("no room in exp.")

    assert exit_of(main) == code
    assert capsys.readouterr().err == "ERROR: no room in exp.\n"


def test_a_command_that_returns_leaves_with_its_own_code():
    assert exit_of(lambda: None) == 0
    assert exit_of(lambda: 2) == 2


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: 1 // 0)
