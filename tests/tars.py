"""Tar archives made by hand, honest and hostile, for the tests of what reads them."""

import io
import tarfile
from pathlib import Path


def entry(name: str, content: bytes = b"", **changes) -> tuple[tarfile.TarInfo, bytes]:
    """A member; ``changes`` are attributes of its header."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, content


def write_tar(path: Path, members, compressed: bool = False) -> Path:
    """An archive of ``entry``'s or (name, content)."""
    with tarfile.open(path, "w:gz" if compressed else "w") as archive:
        for info, content in members:
            made = info if isinstance(info, tarfile.TarInfo) else entry(info, content)[0]
            archive.addfile(made, io.BytesIO(content))
    return path


# What no model has.
HOSTILE = {
    "a symbolic link": entry("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": entry("hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": entry("device", type=tarfile.CHRTYPE),
    "a way out": entry("../outside", b"x"),
    "an absolute path": entry("/tmp/absolute", b"x"),
}
