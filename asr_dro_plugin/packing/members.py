"""The members of a zip archive from a stranger: which names, kinds and sizes are let in.

Only plain files and folders with plain relative names pass.  What a zip can hold beside them is
refused with the member's name: ways out of the folder (``..``, absolute paths, backslashes), links
and devices, encrypted or oddly compressed members, members that share bytes (a bomb of overlapping
files), and more bytes than the limit.
"""

import stat
import unicodedata
import zipfile
from collections.abc import Sequence

from asr_dro_plugin.errors import UserError

MAX_MEMBERS = 10_000
MAX_RATIO, FREE_BYTES = 200, 2**24  # unpacked against packed, of members above 16 MiB
LOCAL_HEADER = 30  # bytes before a member's name and content


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
    if name.startswith("/") or ".." in parts:
        return "leads out of the folder"
    if "\\" in name or any(unicodedata.category(char)[0] == "C" for char in name):
        return "has a backslash or a control character in its name"
    return "has an empty part in its name" if "" in parts or "." in parts else ""


def _kind_fault(info: zipfile.ZipInfo) -> str:
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        return "is no plain file or folder (a link, a device)"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that models are not"
    if info.file_size > max(FREE_BYTES, MAX_RATIO * info.compress_size):
        return f"unpacks to over {MAX_RATIO} times its size, as bombs do"
    return ""


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
