"""Progress of long work: to the runner of the job, to a terminal, or as a line now and then."""

import contextlib
import os
import sys
import time
from pathlib import Path

VARIABLE = "ASR_DRO_PROGRESS_FILE"
FILE_SECONDS = 0.2
PLAIN_SECONDS = 30.0


class Progress:
    """Counts steps of ``total`` and shows them where someone looks.

    Under ``utils/job.py`` (which names a file in ``ASR_DRO_PROGRESS_FILE``) it writes
    ``done total note`` there, for the runner draws one bar for all parts; on a terminal it draws a
    bar on stderr; elsewhere it prints a plain line at most every 30 s.

    Args:
        total: number of steps; 0 is legal.
        title: what is being done, for example ``dump train``.
    """

    def __init__(self, total: int, title: str) -> None:
        self.total, self.title = total, title
        self.done, self.note = 0, ""
        self.file = os.environ.get(VARIABLE, "")
        self._started = time.monotonic()
        self._shown = self._started if not self.file else 0.0
        self._bar = None

    def __enter__(self) -> "Progress":
        if self.file:
            self._write_file()
        elif sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.total, desc=self.title, dynamic_ncols=True, leave=True)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.file:
            self._write_file()
        elif self._bar is not None:
            self._bar.close()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count ``n`` more steps; ``note`` (a few words, for example a loss) replaces the last."""
        self.done += n
        self.note = note or self.note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(n)
            return
        now = time.monotonic()
        if now - self._shown >= (FILE_SECONDS if self.file else PLAIN_SECONDS):
            self._shown = now
            if self.file:
                self._write_file()
                return
            share = f" ({100 * self.done / self.total:.0f} %)" if self.total else ""
            words = f"{self.title}: {self.done}/{self.total}{share}, {now - self._started:.0f} s"
            note = f", {self.note}" if self.note else ""
            print(f"{words} gone{note}", file=sys.stderr, flush=True)

    def _write_file(self) -> None:
        """Replace the file; a full or vanished disk must not end the work that is reported on."""
        temporary = Path(f"{self.file}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            note = " ".join(self.note.split())
            temporary.write_text(f"{self.done} {self.total} {note}\n", "utf-8")
            os.replace(temporary, self.file)
