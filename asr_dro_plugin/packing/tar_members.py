"""Some files of a tar archive from a stranger, read without unpacking it.

The rules for names are those of ``packing.members``; a leading ``./`` is let in.  Links, devices,
pipes and sparse files are refused, wherever in the archive they are and whether or not they are
asked for.  Compression (gzip) is found by content.  Nothing is written but the files that are asked
for, under names that the caller chooses.
"""

import gzip
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.archive import CHUNK
from asr_dro_plugin.packing.members import (
    FREE_BYTES,
    MAX_MEMBERS,
    MAX_RATIO,
    name_fault,
    refuse_clashes,
)

GZIP = b"\x1f\x8b"
END = bytes(tarfile.BLOCKSIZE)  # after the last member
KINDS = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip


def extract(
    archive: str | os.PathLike, wanted: Mapping[str, Path], max_bytes: int
) -> dict[str, int]:
    """Write the wanted members to new files; returns the bytes of each that was there.

    Args:
        archive: a tar file, plain or compressed by gzip.
        wanted: member's name (without ``./``) -> the file to write.
        max_bytes: of all members together.

    Raises:
        UserError: no tar archive, a truncated one, or one with a member that is not as above.
    """
    archive = Path(archive)
    try:
        with _opened(archive) as stream:
            bounded = _Bounded(stream, archive)
            with tarfile.open(fileobj=bounded, mode="r:") as opened:
                found = _extract(opened, archive, wanted, max_bytes)
            if bounded.last != END:  # tarfile takes any other block, or none, for an end too
                raise EOFError("it breaks off")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{archive} is no whole tar archive ({error}). Get it again.") from None
    return found


def _extract(
    opened: tarfile.TarFile, archive: Path, wanted: Mapping[str, Path], max_bytes: int
) -> dict[str, int]:
    found: dict[str, int] = {}
    entries: list[tuple[str, bool]] = []
    total = 0
    for info in opened:  # in the archive's order: a compressed one is read once
        name = _checked_name(info, archive)
        entries.append((name, info.isdir()))
        total += info.size
        _refuse_size(info, total, len(entries), archive, max_bytes)
        if name in wanted and info.isreg():
            if name in found:
                raise UserError(f"{archive} has {name!a} twice. Nothing is read from it.")
            found[name] = _write(opened.extractfile(info), wanted[name], info, archive)
    refuse_clashes([entry for entry in entries if entry[0]], str(archive))
    return found


class _Bounded:
    """A stream of which nothing large is read at once: a header that is larger is a bomb."""

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self.stream, self.archive = stream, archive
        self.seek, self.tell = stream.seek, stream.tell
        self.last = b""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes."""
        if size > FREE_BYTES:
            raise UserError(f"{self.archive} has a header of {size} bytes, as bombs do.")
        self.last = self.stream.read(size)
        return self.last


def _opened(archive: Path) -> IO[bytes]:
    with open(archive, "rb") as stream:
        head = stream.read(len(GZIP))
    return gzip.open(archive, "rb") if head == GZIP else open(archive, "rb")


def _checked_name(info: tarfile.TarInfo, archive: Path) -> str:
    """The member's name without ``./``; empty for the archive's own folder."""
    name = info.name
    while name.startswith("./"):
        name = name[2:]
    if info.isdir() and name in ("", "."):
        return ""
    fault = name_fault(name) or _kind_fault(info)
    if fault:
        raise UserError(f"{archive}: member {info.name!a} {fault}. Nothing is read from it.")
    return name


def _kind_fault(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return f"is {KINDS[tarfile.GNUTYPE_SPARSE]}"
    if not (info.isreg() or info.isdir()):
        return f"is {KINDS.get(info.type, 'no plain file')}"
    return "is a folder with content" if info.isdir() and info.size else ""


def _refuse_size(
    info: tarfile.TarInfo, total: int, number: int, archive: Path, max_bytes: int
) -> None:
    """Judged by the headers, before a member is read or passed over."""
    if number > MAX_MEMBERS:
        raise UserError(f"{archive} has over {MAX_MEMBERS} members, more than any model.")
    if info.size > max(FREE_BYTES, MAX_RATIO * archive.stat().st_size):
        raise UserError(
            f"{archive}: member {info.name!a} has {info.size} bytes, over {MAX_RATIO} times the "
            "archive's, as bombs do. Nothing is read from it."
        )
    if total > max_bytes:
        raise UserError(
            f"{archive} unpacks to over the limit of {max_bytes / 2**30:.1f} GiB. If you trust "
            "it, give a larger --max_gib."
        )


def _write(source: IO[bytes], path: Path, info: tarfile.TarInfo, archive: Path) -> int:
    """One member: a new file, never through a link, and as long as the archive says."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    size = 0
    with os.fdopen(handle, "wb") as stream:
        while piece := source.read(CHUNK):
            stream.write(piece)
            size += len(piece)
    if size != info.size:
        raise UserError(f"{archive} ends within its member {info.name!a}. Get it again.")
    return size
