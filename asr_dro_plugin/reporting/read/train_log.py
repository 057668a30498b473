"""What ``train.log`` says of a run: warnings, skipped steps, how it ended."""

import os
import re
from pathlib import Path

LINE = re.compile(
    r"\[[^\]]*\] \S+ (?P<time>\d\d:\d\d):\d\d,\d+ \([^)]*\) (?P<level>[A-Z]+): (?P<text>.*)"
)
ENDED = re.compile(r"# Ended \(code (-?\d+)\)")
KEPT = 50  # warnings
# ESPnet says it of every CTC model.
USUAL = ("Set decoder to none as ctc_weight==1.0",)


class TrainLog:
    """Reads on in a log that grows, from where it has come to; a log begun anew is read anew."""

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
