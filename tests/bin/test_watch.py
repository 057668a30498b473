"""``asr-dro watch`` on a terminal, in a pipe, and on folders of something else."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr_dro_plugin.bin import watch
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.metrics import Record

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "asr_dro_plugin.bin.main", "watch"]


def write_run(exp, end=""):
    exp.mkdir()
    (exp / "config.yaml").write_text("max_epoch: 4\n")
    now = time.time()
    values = (
        {"loss": 3.5, "q_deu": 0.4, "q_eng": 0.6},
        {"loss": 2.5, "cer_deu": 0.25, "cer_eng": 0.5},
    )
    records = [
        Record(phase, 1, 10, 10, True, now - 1, figures)
        for phase, figures in zip(("train", "valid"), values, strict=True)
    ]
    (exp / "metrics.jsonl").write_text("".join(f"{r.to_json()}\n" for r in records))
    (exp / "train.log").write_text(f"# host\n{end}")
    return exp


@pytest.fixture
def running(tmp_path):
    return write_run(tmp_path / "asr_toy")


@pytest.fixture
def ended(tmp_path):
    return write_run(tmp_path / "asr_toy", "# Ended (code 75) at 14:15\n")


def test_once_is_one_page_of_all_languages(running, capsys):
    assert watch.main([str(running), "--once"]) == 0
    out = capsys.readouterr().out
    assert "asr_toy  running" in out and "epoch 2/4" in out and "\x1b" not in out
    assert out.index("\neng ") < out.index("\ndeu ")


def test_rates_of_auxiliary_targets_are_no_languages(running, capsys):
    assert watch.main([str(running), "--once"]) == 0
    before = capsys.readouterr().out
    lines = [json.loads(line) for line in (running / "metrics.jsonl").read_text().splitlines()]
    lines[-1]["values"] |= {"ter_aux": 0.9, "ter_aux_deu": 0.9, "ter_aux_eng": 0.9}
    (running / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert watch.main([str(running), "--once"]) == 0
    after = capsys.readouterr().out
    assert "ter_aux" not in after and "90.0" not in after and "eng" in after
    assert len(after.splitlines()) == len(before.splitlines())


def test_in_a_pipe_a_run_that_is_over_is_a_line(ended, capsys):
    assert watch.main([str(ended)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "worst eng 50.0 %" in line and "the same command goes on" in line


@pytest.mark.parametrize("name", ["empty", "gone"])
def test_a_folder_of_something_else_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"exp/asr_"):
        watch.main([str(tmp_path / name), "--once"])


@pytest.mark.parametrize("word", ["0", "-1", "soon", "nan", "1e9"])
def test_an_interval_that_is_none_is_wrong_usage(running, word):
    with pytest.raises(SystemExit) as ended:
        watch.main([str(running), "--interval", word])
    assert ended.value.code == 2


class Terminal:
    """A command on a pseudo-terminal of its own."""

    def __init__(self, words, rows, columns):
        self.master, slave = pty.openpty()
        os.environ.pop("NO_COLOR", None)
        env = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        env = {key: value for key, value in env.items() if key not in ("LINES", "COLUMNS")}
        self.resize(slave, rows, columns)
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=env, close_fds=True
        )
        os.close(slave)
        self.text = ""

    @staticmethod
    def resize(handle, rows, columns):
        import fcntl
        import struct
        import termios

        fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, words, seconds=120):
        """Read on until the text has the words; what was read before them is forgotten."""
        end = time.monotonic() + seconds
        while words not in self.text and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.master, 65536).decode("utf-8", "replace")
                except OSError:  # the other end is closed
                    break
        assert words in self.text, self.text[-2000:]
        before, self.text = self.text.split(words, 1)
        return before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_is_drawn_in_place_and_left_as_it_was(running, number):
    terminal = Terminal([*COMMAND, str(running), "--interval", "0.2"], 24, 80)
    terminal.until("\x1b[?1049h")
    first = terminal.until("\x1b[J")
    assert "asr_toy" in first and "eng" in first and first.startswith("\x1b[?25l\x1b[H")
    Terminal.resize(terminal.master, 7, 30)
    terminal.until("\x1b[J")
    lines = terminal.until("\x1b[J").split("\n")
    assert len(lines) <= 6 and not any("deu" in line for line in lines)
    terminal.process.send_signal(number)
    terminal.until("\x1b[?25h\x1b[?1049l")
    assert terminal.process.wait(120) == 0
    terminal.until("asr_toy")  # the last page stays


def test_a_run_that_is_over_is_shown_and_the_terminal_given_back(ended):
    terminal = Terminal([*COMMAND, str(ended)], 24, 80)
    terminal.until("\x1b[?1049l")
    terminal.until("the same command goes on")
    assert terminal.process.wait(120) == 0
