"""Files that are either whole or absent: atomic writing and checksums."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from asr_dro_plugin.errors import DiskFull


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside ``path`` and move it into place only if the block succeeds.

    Text is UTF-8 with plain newlines.  After an exception or a kill, ``path`` is what it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(handle, mode, **text) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        share(name)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def share(path: str | os.PathLike) -> None:
    """Give a file the mode of any new one; temporary files have 0600, others share the experiment.

    Libraries that write through a temporary file of their own (safetensors) leave that mode.
    """
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, 0o666 & ~umask)


def write_text(path: str | os.PathLike, text: str) -> None:
    """A whole text file; see ``atomic_write``."""
    with atomic_write(path) as stream:
        stream.write(text)


def write_json(path: str | os.PathLike, content: object) -> None:
    """A whole JSON file, for people as well: a blank a level, letters as they are."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def sha256_of(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link(path: str | os.PathLike, target: str) -> None:
    """Make ``path`` a symlink to ``target``, in one move whatever was there before."""
    path = Path(path)
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    os.symlink(target, name)
    try:
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def sync_folder(folder: str | os.PathLike) -> None:
    """Bring a folder's entries (new names, renames) to the disk, where its file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network mounts
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def as_disk_full(out: str | os.PathLike) -> Iterator[None]:
    """An error of the disk for want of room, as the one line that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            f"{out} cannot be written: no space left. Make room, or choose another disk."
        ) from None
