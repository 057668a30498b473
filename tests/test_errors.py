"""run_main: one line for the user, and an exit code that a cluster's script can act on."""

import errno

import pytest

from asr_dro_plugin.errors import DiskFull, TrainingStopped, UserError, run_main

REMEDY = "Give another place, or free it."


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


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    def main():
        (tmp_path / "page.html").mkdir()
        (tmp_path / "new").write_text("page")
        (tmp_path / "new").replace(tmp_path / "page.html")

    assert exit_of(main) == 1
    assert capsys.readouterr().err == f"ERROR: Is a directory: {tmp_path / 'page.html'}. {REMEDY}\n"


def test_a_full_disk_has_its_exit_code_in_every_command(capsys):
    def main():
        raise OSError(errno.ENOSPC, "No space left on device")

    assert exit_of(main) == 74
    assert capsys.readouterr().err == f"ERROR: No space left on device. {REMEDY}\n"


def test_a_file_that_we_have_forgotten_keeps_its_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        run_main((tmp_path / "none").read_text)
