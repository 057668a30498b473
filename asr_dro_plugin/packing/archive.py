"""Writing the archive: the same members give the same bytes, and a crash leaves no half of one."""

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.base.files import as_disk_full, atomic_write
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name: no member has a date
CHUNK = 2**20
Content = Path | bytes


def size_of(source: Content) -> int:
    """Bytes of a member."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def chunks(source: Content, bar: Progress | None = None) -> Iterator[bytes]:
    """A member's content in pieces of a MiB; ``bar`` counts them."""
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece
            if bar is not None:
                bar.advance()


def describe(source: Content, bar: Progress | None = None) -> dict[str, str | int]:
    """A member's entry in the manifest: its size and checksum."""
    digest, size = hashlib.sha256(), 0
    for piece in chunks(source, bar):
        digest.update(piece)
        size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}


def num_chunks(sources: Iterable[Content]) -> int:
    """Steps that ``chunks`` takes over all members."""
    return sum(-(-size_of(source) // CHUNK) for source in sources)


def write_zip(
    out: str | os.PathLike, members: Mapping[str, Content], described: Mapping[str, Mapping],
    bar: Progress | None = None,
) -> None:  # fmt: skip
    """Write the members, sorted and stored as they are, and a folder entry for each folder.

    Nothing is compressed: weights and archives would gain nothing, and the bytes must not depend
    on a version of zlib.  ESPnet's unpacking finds a folder that a configuration names only where
    the archive has an entry for it; one-part names get none, for they may be tokens, too.

    Args:
        members: name -> file or content.
        described: name -> the entry that the manifest holds of it.

    Raises:
        UserError: a file changed since it was described.
        DiskFull: no room; the file that was there before is whole.
    """
    folders = {str(p) + "/" for name in members for p in Path(name).parents if len(p.parts) > 1}
    with (
        as_disk_full(out),
        atomic_write(out, "wb") as stream,
        zipfile.ZipFile(stream, "w") as archive,
    ):
        for name in sorted([*members, *folders]):
            if name in folders:
                archive.writestr(_entry(name, stat.S_IFDIR | 0o755), b"")
            else:
                _store(archive, name, members[name], described.get(name), bar)


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system = 3  # Unix, on whatever system it is written
    info.external_attr = mode << 16
    return info


def _store(
    archive: zipfile.ZipFile, name: str, source: Content, entry: Mapping | None,
    bar: Progress | None,
) -> None:  # fmt: skip
    info = _entry(name, stat.S_IFREG | 0o644)
    info.file_size = size_of(source)
    digest = hashlib.sha256()
    with archive.open(info, "w", force_zip64=info.file_size >= zipfile.ZIP64_LIMIT) as stream:
        for piece in chunks(source, bar):
            digest.update(piece)
            stream.write(piece)
    if entry is not None and digest.hexdigest() != entry["sha256"]:
        raise UserError(f"{source} changed while it was packed. Pack again when nothing writes it.")
