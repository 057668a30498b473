"""The members of an archive from a stranger: which names, kinds and sizes are let in.

Only plain files and folders with plain relative names pass.  What a zip can hold beside them is
refused with the member's name: ways out of the folder (``..``, absolute paths, drive letters,
backslashes), links and devices, the same name twice or in another case (one file on some disks),
encrypted or oddly compressed members, members that share bytes (a bomb of overlapping files), and
more bytes than the limit.
"""

import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from asr_dro_plugin.errors import UserError

MAX_MEMBERS = 10_000
MAX_NAME, MAX_PART = 1000, 255  # bytes; the second is what most file systems take
MAX_RATIO, FREE_BYTES = 200, 2**24  # unpacked against packed, of members above 16 MiB
LOCAL_HEADER = 30  # bytes before a member's name and content
KINDS = {
    stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def check_members(members: Sequence[zipfile.ZipInfo], where: str, max_bytes: int) -> None:
    """Refuse an archive with a member that is not as above.

    Raises:
        UserError: names the archive, the member and what is wrong with it.
    """
    if len(members) > MAX_MEMBERS:
        raise UserError(f"{where} has {len(members)} members, no model has over {MAX_MEMBERS}.")
    for info in members:
        fault = name_fault(info.orig_filename) or _kind_fault(info)
        if fault:
            raise UserError(f"{where}: member {info.orig_filename!a} {fault}. Nothing is unpacked.")
    refuse_clashes([(info.filename, info.is_dir()) for info in members], where)
    _refuse_overlaps(members, where)
    total = sum(info.file_size for info in members)
    if total > max_bytes:
        raise UserError(
            f"{where} unpacks to {total / 2**30:.1f} GiB, over the limit of "
            f"{max_bytes / 2**30:.1f} GiB. If you trust it, give a larger --max_gib."
        )


def name_fault(name: str) -> str:
    """Why a member may not be called so; empty where it may."""
    parts = name.removesuffix("/").split("/")
    if name.startswith("/"):
        return "has an absolute path"
    if "\\" in name or ":" in name:
        return "has a backslash or a colon (a drive, a stream) in its name"
    if any(unicodedata.category(char)[0] == "C" for char in name):
        return "has a control character in its name"
    if ".." in parts:
        return "leads out of the folder"
    if not all(part not in ("", ".") and part == part.strip().rstrip(".") for part in parts):
        return "has an empty part, or one that ends in a dot or blank"
    long = len(name.encode()) > MAX_NAME or any(len(p.encode()) > MAX_PART for p in parts)
    return "has a name that is too long" if long else ""


def _kind_fault(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"is {KINDS.get(mode, 'no plain file')}"
    if (mode == stat.S_IFDIR) != info.is_dir() and mode:
        return "says of itself that it is a folder and a file"
    if info.is_dir() and info.file_size:
        return "is a folder with content"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that models are not"
    if info.file_size > max(FREE_BYTES, MAX_RATIO * info.compress_size):
        return f"unpacks to over {MAX_RATIO} times its size, as bombs do"
    return ""


def refuse_clashes(members: Iterable[tuple[str, bool]], where: str) -> None:
    """No two names may be one file, and no file a folder of another's name, on any disk.

    Args:
        members: name and whether it is a folder, of each.
        where: the archive, for messages.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for entry, is_folder in members:
        name = entry.removesuffix("/")
        if not is_folder:
            if _folded(name) in files:
                raise UserError(
                    f"{where} has {name!a} twice, or in another case ({files[_folded(name)]!a}). "
                    "Nothing is unpacked."
                )
            files[_folded(name)] = name
        own = [name] if is_folder else []
        for folder in [*own, *(str(p) for p in PurePosixPath(name).parents if str(p) != ".")]:
            if folders.setdefault(_folded(folder), folder) != folder:
                raise UserError(f"{where} has folder {folder!a} in another case, too.")
    for key in files.keys() & folders.keys():
        raise UserError(f"{where} has {files[key]!a} as a file and as a folder.")


def _folded(name: str) -> str:
    """A name as disks that ignore case and the form of accents compare it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _refuse_overlaps(members: Sequence[zipfile.ZipInfo], where: str) -> None:
    ordered = sorted(members, key=lambda info: info.header_offset)
    if ordered and ordered[0].header_offset:  # a torn one may end in a whole one: weights are zips
        raise UserError(f"{where} is no whole zip archive (it begins with something else).")
    for info, following in zip(ordered, ordered[1:], strict=False):
        end = info.header_offset + LOCAL_HEADER + len(info.orig_filename) + info.compress_size
        if following.header_offset < end:
            raise UserError(
                f"{where}: members {info.filename!a} and {following.filename!a} share bytes, as "
                "in a bomb. Nothing is unpacked."
            )
