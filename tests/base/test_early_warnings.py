"""What is said before there is a log is said in it, and does not replace it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAID = """
import logging
from asr_dro_plugin.base.early_warnings import EarlyLog
early = EarlyLog()
with early:
    logging.warning("too early")
    {inside}
logging.basicConfig(level="{level}", format="log: %(message)s")
early.tell()
early.tell()
logging.info("on time")
"""


def lines(level="INFO", inside="pass"):
    code = SAID.format(level=level, inside=inside)
    words = [sys.executable, "-c", code]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stderr.splitlines()


def test_an_early_warning_stands_in_the_log_once_and_leaves_its_settings_alone():
    assert lines() == ["log: too early", "log: on time"]


def test_a_log_of_errors_alone_stays_one():
    assert lines(level="ERROR") == []


def test_where_an_error_ends_the_run_the_warning_is_said_all_the_same():
    said = lines(inside="raise SystemExit('over')")
    assert said == ["too early", "over"]
