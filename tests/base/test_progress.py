"""Progress reaches whoever looks: the job's runner, a terminal, a log."""

import io
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.base import progress
from asr_dro_plugin.base.progress import Progress


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    ticking = Clock()
    monkeypatch.setattr(progress.time, "monotonic", ticking)
    return ticking


@pytest.fixture
def file(clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "x.log.progress"
    monkeypatch.setenv(progress.VARIABLE, str(path))
    return path


def test_the_file_is_there_from_the_start_and_ends_complete(file: Path) -> None:
    with Progress(3, "dump train") as bar:
        assert file.read_text() == "0 3 \n"
        for _ in range(3):
            bar.advance(note="loss\n1.2")
    assert file.read_text() == "3 3 loss 1.2\n"
    assert [path.name for path in file.parent.iterdir()] == ["x.log.progress"]


def test_the_file_is_written_at_most_five_times_a_second(file: Path, clock: Clock) -> None:
    with Progress(100, "dump") as bar:
        bar.advance()
        first = file.read_text()
        bar.advance()
        assert file.read_text() == first
        clock.now += 0.25
        bar.advance(2)
        assert file.read_text() == "4 100 \n"


def test_the_file_says_how_far_an_interrupted_part_came(file: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Progress(9, "dump") as bar:
        bar.advance(4)
        raise KeyboardInterrupt
    assert file.read_text() == "4 9 \n"


def test_a_folder_that_is_gone_does_not_end_the_work(file: Path) -> None:
    file.parent.rmdir()
    with Progress(1, "dump") as bar:
        bar.advance()


def test_a_log_gets_a_line_every_half_minute(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    with Progress(100, "dump train") as bar:
        for _ in range(100):
            clock.now += 1.0
            bar.advance(note="loss 1.2")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "dump train: 30/100 (30 %), 30 s gone, loss 1.2"
    assert len(lines) == 3


def test_nothing_to_do_is_legal(clock: Clock, capsys: pytest.CaptureFixture) -> None:
    with Progress(0, "dump") as bar:
        clock.now += 60
        bar.advance(0)
    assert "dump: 0/0, 60 s gone" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    stderr.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stderr)
    with Progress(2, "dump train") as bar:
        bar.advance(2, note="loss 1.2")
    assert "dump train" in stderr.getvalue() and "2/2" in stderr.getvalue()
