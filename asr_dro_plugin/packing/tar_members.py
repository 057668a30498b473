"""Some files of a tar archive from a stranger, read without unpacking it.

Only plain files that are asked for are read, by name, and written under names that the caller
chooses; whatever else the archive holds is passed over.  What would fill memory, disk or time is
refused: long headers, many members, more bytes than the limit, members that unpack to a multiple of
the archive.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.members import FREE_BYTES, MAX_MEMBERS, MAX_RATIO

GZIP = b"\x1f\x8b"
END = bytes(tarfile.BLOCKSIZE)  # after the last member


def extract(
    archive: str | os.PathLike, wanted: Mapping[str, Path], max_bytes: int
) -> dict[str, int]:
    """Write the wanted members to new files; returns the bytes of each that was there.

    Args:
        archive: a tar file, plain or compressed by gzip.
        wanted: member's name (without ``./``) -> the file to write.
        max_bytes: of all members together.

    Raises:
        UserError: no tar archive, one that breaks off, a wanted member that is no plain file or is
            there twice, or what no model needs, as above.
    """
    archive = Path(archive)
    try:
        with (
            open(archive, "rb") as raw,
            _plain(raw) as stream,
            tarfile.open(fileobj=(bounded := _Bounded(stream, archive)), mode="r:") as opened,
        ):
            found = _extract(opened, archive, wanted, max_bytes)
            if bounded.last != END:  # tarfile takes any other block, or none, for an end too
                raise EOFError("it breaks off")
            return found
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{archive} is no whole tar archive ({error}). Get it again.") from None
    except FileExistsError as error:
        raise UserError(f"{archive} has a member twice ({error}). Get it again.") from None


def _extract(
    opened: tarfile.TarFile, archive: Path, wanted: Mapping[str, Path], max_bytes: int
) -> dict[str, int]:
    found: dict[str, int] = {}
    total, most = 0, max(FREE_BYTES, MAX_RATIO * archive.stat().st_size)
    for number, info in enumerate(opened):  # in the archive's order: a compressed one is read once
        total += info.size
        if number >= MAX_MEMBERS or info.size > most:
            raise UserError(
                f"{archive} has over {MAX_MEMBERS} members, or one of over {MAX_RATIO} times its "
                "size, as bombs do. Nothing is read from it."
            )
        if total > max_bytes:
            raise UserError(
                f"{archive} unpacks to over the limit of {max_bytes / 2**30:.1f} GiB. If you trust "
                "it, give a larger --max_gib."
            )
        name = info.name.removeprefix("./")
        if name in wanted:
            if not info.isreg() or info.issparse():
                raise UserError(f"{archive}: member {name!a} is no plain file. Get it again.")
            with open(wanted[name], "xb") as stream:
                shutil.copyfileobj(opened.extractfile(info), stream)
            found[name] = info.size
    return found


def _plain(stream: IO[bytes]) -> IO[bytes]:
    """The archive without its compression, which is found by content."""
    head = stream.read(len(GZIP))
    stream.seek(0)
    return gzip.open(stream) if head == GZIP else stream


class _Bounded:
    """A stream of which nothing large is read at once: a header that is larger is a bomb."""

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self.stream, self.archive = stream, archive
        self.seek, self.tell, self.last = stream.seek, stream.tell, b""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes."""
        if size > FREE_BYTES:
            raise UserError(f"{self.archive} has a header of {size} bytes, as bombs do.")
        self.last = self.stream.read(size)
        return self.last
