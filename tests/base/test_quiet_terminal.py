"""Quiet while all is well, and nothing lost when it is not."""

import logging
import sys
import warnings

import pytest

from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.errors import UserError


def make_noise():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    warnings.warn("a warning", stacklevel=1)
    logging.warning("a log line")


def test_nothing_is_shown_and_afterwards_everything_again(capsys, caplog):
    with quiet_import():
        make_noise()
    assert capsys.readouterr() == ("", "") and not caplog.records
    logging.warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]


def test_a_failure_brings_back_what_was_kept(capsys):
    with pytest.raises(ValueError), quiet_import():
        make_noise()
        raise ValueError
    assert capsys.readouterr().err == "to stdout\nto stderr\n"


def test_a_user_error_stays_one_line(capsys):
    with pytest.raises(UserError), quiet_import():
        make_noise()
        raise UserError("fact, where, remedy")
    assert capsys.readouterr().err == ""
