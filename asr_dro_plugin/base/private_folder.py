"""Folders of one process, gone with it however it ends."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX, LOCK = "asr_dro_", ".lock"


class PrivateFolder:
    """A folder that nobody else may read.

    It holds a lock as long as the process (or a child) lives.  A process that is killed leaves its
    folder behind: whoever makes the next one removes those that nobody holds.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_left(folder)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder of ours without a holder; one that is not ours, or just begun, stays."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # somebody holds it
    finally:
        os.close(lock)
