"""Where a training stands, from the files of its experiment alone."""

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, LOG, METRICS
from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.read.facts import read_config
from asr_dro_plugin.reporting.read.history import History, read_history

QUIET_SECONDS = 180.0  # without any sign, at the least, before a run counts as silent
LINE = re.compile(
    r"\[[^\]]*\] \S+ (?P<time>\d\d:\d\d):\d\d,\d+ \([^)]*\) (?P<level>[A-Z]+): (?P<text>.*)"
)
ENDED = re.compile(r"# Ended \(code (-?\d+)\)")
KEPT = 50  # warnings
# ESPnet says it of every CTC model.
USUAL = ("Set decoder to none as ctc_weight==1.0",)
END_WORDS = {
    0: "finished",
    74: "stopped: the disk is full (make room, then give the same command again)",
    75: "stopped by a signal, everything saved (the same command goes on)",
    130: "interrupted",
    141: "ended with the program that read its output",
}


@dataclass(frozen=True)
class RunState:
    """Figures of one moment.

    Attributes:
        condition: ``running``, ``waiting`` (nothing reported yet), ``silent``, ``finished`` or
            ``ended``; ``words`` says it to a reader.
        done, total: batches; ``total`` None where it is not known.
        updates: optimizer steps; None before the first report.
        seconds_left: None where it cannot be told.
        sign_age, checkpoint_age: seconds since the last sign of life and checkpoint.
    """

    name: str
    condition: str
    words: str
    history: History
    epoch: int
    max_epoch: int | None
    done: int
    total: int | None
    updates: int | None
    seconds_left: float | None
    sign_age: float | None
    checkpoint_age: float | None
    num_skipped: int
    warnings: tuple[tuple[str, str], ...]


class RunWatcher:
    """Reads an experiment again and again, and of its files only what has changed."""

    def __init__(self, exp: Path) -> None:
        self.exp, self.log = exp, TrainLog(exp / LOG)
        self._history, self._history_mark = read_history(exp), self._mark()
        self._config, self._config_mark = {}, 0.0

    def state(self, now: float | None = None) -> RunState:
        """Where the run stands; ``now`` in seconds since 1970."""
        now = time.time() if now is None else now
        self.log.update()
        mark = self._mark()
        if mark != self._history_mark:
            self._history, self._history_mark = read_history(self.exp), mark
        config, newest, live = self._settings(), self._history.newest(), self._live()
        max_epoch = config.get("max_epoch")
        done = max(newest.batches if newest else 0, live[0] if live else 0)
        total = live[1] if live and live[1] else _planned(self._history, max_epoch)
        sign = self._last_sign()
        condition, words = self._condition(now, sign, newest)
        rate = seconds_per_batch(self._history)
        is_on = condition == "running" and rate is not None and total
        checkpoint = _modified(self.exp / "checkpoint.pth")
        return RunState(
            name=self.exp.resolve().name,
            condition=condition,
            words=words,
            history=self._history,
            epoch=_epoch(newest, done, total, max_epoch),
            max_epoch=max_epoch,
            done=done,
            total=total,
            updates=newest.step if newest else None,
            seconds_left=max(0.0, (total - done) * rate) if is_on else None,
            sign_age=None if sign is None else max(0.0, now - sign),
            checkpoint_age=None if checkpoint is None else max(0.0, now - checkpoint),
            num_skipped=self._num_skipped(),
            warnings=tuple(self.log.warnings),
        )

    def _condition(self, now: float, sign: float | None, newest: Record | None) -> tuple[str, str]:
        """Whether the run lives, and in words."""
        code, logged = self.log.exit_code, _modified(self.log.path)
        # What is written after the log's end is of a run that was started without a log.
        if code is not None and (newest is None or logged is None or newest.time < logged + 5):
            return ("finished" if code == 0 else "ended"), self._end_words(code)
        if newest is None and sign is None:
            return "waiting", "nothing reported yet"
        if newest is not None and self._is_complete(newest):
            return "finished", END_WORDS[0]
        if now - sign > quiet_seconds(self._history):
            ago = f"no sign for {duration_words(now - sign)}"
            return "silent", f"{ago}: stopped without a word, or at something long"
        return ("running", "running") if newest else ("waiting", "starting")

    def _is_complete(self, newest: Record) -> bool:
        """The last epoch is over and averaged: how a run without a log of a job ends."""
        is_last = newest.whole and newest.epoch == self._settings().get("max_epoch")
        links = self.exp.glob("*.ave.pth")  # themselves: what they point to may be an old epoch
        linked = max((path.lstat().st_mtime for path in links), default=0.0)
        return is_last and linked >= newest.time

    def _end_words(self, code: int) -> str:
        if code in END_WORDS:
            return END_WORDS[code]
        if code < 0 or code > 128:
            return f"killed by signal {-code if code < 0 else code - 128}"
        return f"failed (exit code {code}): {self.log.last_words}"

    def _num_skipped(self) -> int:
        skipped = self._history.series("train", "skipped_steps", whole=False).values
        counted = int(skipped[-1]) if len(skipped) and np.isfinite(skipped[-1]) else 0
        return max(counted, self.log.num_skipped)

    def _settings(self) -> dict:
        changed = _modified(self.exp / CONFIG)
        if changed is not None and changed != self._config_mark:
            with contextlib.suppress(UserError):  # being written
                self._config, self._config_mark = read_config(self.exp), changed
        return self._config

    def _live(self) -> tuple[int, int] | None:
        """(batches done, of all) of the job's progress file, while there is one."""
        try:
            done, total, *_ = (self.exp / "train.log.progress").read_text("utf-8").split(None, 2)
            return int(done), int(total)
        except (OSError, ValueError):
            return None

    def _mark(self) -> tuple[int, int] | None:
        """Changes where the history may have."""
        with contextlib.suppress(OSError):
            status = (self.exp / METRICS).stat()
            return status.st_size, status.st_mtime_ns
        return None

    def _last_sign(self) -> float | None:
        names = (METRICS, LOG, f"{LOG}.progress", "checkpoint.pth")
        paths = [self.exp / name for name in names]
        paths += self.exp.glob("tensorboard/*/events.out.tfevents.*")
        return max(filter(None, map(_modified, paths)), default=None)


def seconds_per_batch(history: History) -> float | None:
    """The median over the latest reports, validation included where epochs tell; None before."""
    for whole in (True, False):
        records = [r for r in history.records if r.phase == "train" and r.whole == whole][-6:]
        steps = [
            (later.time - earlier.time) / (later.batches - earlier.batches)
            for earlier, later in zip(records, records[1:], strict=False)
            if later.batches > earlier.batches
        ]
        if steps:
            return float(np.median(steps))
    return None


def quiet_seconds(history: History) -> float:
    """How long this run may say nothing: three times as long as it did of late."""
    times = sorted(record.time for record in history.records[-200:])
    gaps = np.diff(times)
    return max(QUIET_SECONDS, 3 * float(np.quantile(gaps, 0.95)) if len(gaps) else 0.0)


def duration_words(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _planned(history: History, max_epoch: int | None) -> int | None:
    """Batches of all epochs, as those that are over had."""
    last = next((r for r in reversed(history.records) if r.whole and r.batches), None)
    if last is None or not max_epoch or not last.epoch:
        return None
    return round(last.batches / last.epoch * max_epoch)


def _epoch(newest: Record | None, done: int, total: int | None, max_epoch: int | None) -> int:
    """The epoch in progress, from 1; the last one once all are over."""
    if newest is None:
        return 1
    if total and max_epoch:
        return min(max_epoch, max(newest.epoch, done * max_epoch // total + 1))
    return newest.epoch


class TrainLog:
    """What ``train.log`` says: warnings, skipped steps, how it ended.

    Reads on in a log that grows, from where it has come to; a log begun anew is read anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._offset, self._file = 0, None
        self.num_skipped = 0
        self.exit_code: int | None = None
        self.last_words = ""
        self._said_error = False
        self.warnings: list[tuple[str, str]] = []

    def update(self) -> None:
        """Take in what has been written since; no log is no news."""
        try:
            with self.path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_size < self._offset or self._file not in (None, status.st_ino):
                    self._forget()
                self._file = status.st_ino
                stream.seek(self._offset)
                data = stream.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        if ended := ENDED.match(line):
            self.exit_code = int(ended[1])
        elif found := LINE.match(line):
            self._take_message(found["time"], found["level"], found["text"])
        elif line.startswith("ERROR: "):
            self.last_words, self._said_error = line.removeprefix("ERROR: "), True
        elif line.strip() and not line.startswith("#") and not self._said_error:
            self.last_words = line.strip()  # of a traceback the last line is what was wrong

    def _take_message(self, time: str, level: str, text: str) -> None:
        self.num_skipped += "step skipped" in text
        if level in ("WARNING", "ERROR", "CRITICAL") and not text.startswith(USUAL):
            self.warnings = [*self.warnings, (time, text)][-KEPT:]
