"""One checkpoint file: written whole or not at all, with a checksum beside it, and read back.

Beside ``NAME`` stands ``NAME.sha256`` in ``sha256sum``'s format.  Whatever the moment of a kill or
of a power cut, a file called ``NAME`` fits a line of the sums beside it:

    temporary file written, on the disk, read back   NAME is what it was
    sums written: the new one and the old one's      NAME is what it was, and fits its line
    temporary file renamed to NAME                   NAME is new, and fits its line
    sums written: the new one alone
"""

import contextlib
import datetime
import errno
import hashlib
import os
import pickle
import shutil
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from asr_dro_plugin.base.files import atomic_write, sha256_of, sync_folder
from asr_dro_plugin.checkpoints.state import num_bytes, plain
from asr_dro_plugin.errors import DiskFull, UserError

MARGIN = 16 << 20  # bytes that must stay free: logs and the small files of an epoch
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError)
# What older ESPnets put into their reporter's state; none of these runs anything when called.
_scalar = np._core.multiarray.scalar
OF_OLDER_ESPNETS = [
    datetime.timedelta,
    _scalar,
    (_scalar, "numpy.core.multiarray.scalar"),  # its name before NumPy 2
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")),
]


class Damaged(Exception):
    """A file that is not what was written; the message says how it shows."""


class _Summed:
    """A binary stream for ``torch.save`` that sums what it writes and keeps the first error.

    An error inside ``write`` would cross torch's C++ writer, which then fails once more in its
    destructor and hides the cause; so the rest goes nowhere and ``finish`` raises.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sum = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, data) -> int:
        """Write and sum ``data``."""
        size = memoryview(data).nbytes
        if self._error is None:
            try:
                self._stream.write(data)
                self._sum.update(data)
            except OSError as error:
                self._error = error
        return size

    def flush(self) -> None:
        """Nothing yet: ``finish`` does it once."""

    def finish(self) -> str:
        """Bring everything to the disk; the hexadecimal sum."""
        if self._error is not None:
            raise self._error
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._sum.hexdigest()


def save_checkpoint(path: str | os.PathLike, state: Any) -> None:
    """Write ``state`` to ``path``: whole, on the disk and with its checksum, or not at all.

    Raises:
        DiskFull: too little room, before or while writing; ``path`` is what it was.
        UserError: ``state`` holds more than tensors and plain values, or the disk refuses.
    """
    _save(Path(path), state, with_sums=True)


def save_model(path: str | os.PathLike, state: Any) -> None:
    """Write an epoch's model as ``save_checkpoint`` does, without a checksum beside it."""
    _save(Path(path), state, with_sums=False)


def _save(path: Path, state: Any, with_sums: bool) -> None:
    state = plain(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    check_room(path, state)
    try:
        _write(path, state, with_sums)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _disk_full(path, num_bytes(state)) from None
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}). The checkpoints before it are "
            "whole: see to the disk and start again."
        ) from error


def _write(path: Path, state: Any, with_sums: bool) -> None:
    replaces = with_sums and path.exists()
    old_sums = (_sums(path) or [sha256_of(path)]) if replaces else []
    with atomic_write(path, "wb") as stream:
        summed = _Summed(stream)
        torch.save(state, summed)
        new_sum = summed.finish()
        _check_on_disk(stream, new_sum)
        if with_sums:
            _write_sums(path, [new_sum, *old_sums])
    sync_folder(path.parent)
    if old_sums:
        _write_sums(path, [new_sum])


def _check_on_disk(stream: IO[bytes], expected: str) -> None:
    """Read back what the disk holds, not what the memory remembers of it."""
    with contextlib.suppress(OSError, AttributeError):  # a wish, and not of every system
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with open(os.dup(stream.fileno()), "rb") as again:  # mkstemp opens for reading, too
        again.seek(0)
        found = hashlib.file_digest(again, "sha256").hexdigest()
    if found != expected:
        raise OSError(errno.EIO, "the disk gives back other bytes than were written")


def sums_path(path: Path) -> Path:
    """Where the checksum of ``path`` stands."""
    return path.with_name(path.name + ".sha256")


def _write_sums(path: Path, sums: list[str]) -> None:
    with atomic_write(sums_path(path)) as stream:
        stream.writelines(f"{digest}  {path.name}\n" for digest in sums)
    sync_folder(path.parent)


def _sums(path: Path) -> list[str]:
    """The sums that ``path`` may have; none for a file that is not ours."""
    try:
        lines = sums_path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line.split()[0] for line in lines if line.strip()]


def check_room(path: Path, state: Any) -> None:
    """Raise ``DiskFull`` if ``state`` does not fit beside everything that is on the disk."""
    needed = num_bytes(state)
    if shutil.disk_usage(path.parent).free < needed + MARGIN:
        raise _disk_full(path, needed)


def _disk_full(path: Path, needed: int) -> DiskFull:
    free = shutil.disk_usage(path.parent).free
    return DiskFull(
        f"The disk of {path.parent} is full: {path.name} needs {needed / 1e6:.0f} MB, "
        f"{free / 1e6:.0f} MB are free. The checkpoints before it are whole: make room and start "
        "again with the same command."
    )


def read_checkpoint(path: str | os.PathLike, map_location: Any = "cpu") -> Any:
    """The state in ``path``, checked against its checksum where there is one.

    Raises:
        Damaged: cut off, changed, or in need of pickle.
    """
    path = Path(path)
    try:
        sums = _sums(path)
        if sums and sha256_of(path) not in sums:
            raise Damaged(f"its content does not fit {sums_path(path).name}")
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from error
    try:
        with torch.serialization.safe_globals(OF_OLDER_ESPNETS):
            return torch.load(path, map_location=map_location, weights_only=True)
    except UNREADABLE as error:
        if sums and not isinstance(error, (OSError, pickle.UnpicklingError)):
            raise  # the file is whole: too little memory, no such device
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(reason) from error
