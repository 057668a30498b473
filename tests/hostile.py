"""Pickles that would run code, as PyTorch files in both of its formats.

Each would leave a file ``sentinel`` behind if anything in it ran.
"""

import pickle
import sys
import zipfile
from pathlib import Path

import torch

MAGIC = torch.serialization.MAGIC_NUMBER


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def write_zip(path: Path, pickled: bytes) -> Path:
    """A file as PyTorch has written it since 1.6, around any pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path: Path, pickled: bytes) -> Path:
    """A file as PyTorch wrote it before 1.6, around any pickle."""
    system = {"protocol_version": 1001, "little_endian": sys.byteorder == "little",
              "type_sizes": {"short": 2, "int": 4, "long": 4}}  # fmt: skip
    before = [pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, system)]
    path.write_bytes(b"".join([*before, pickled, pickle.dumps([], protocol=2)]))
    return path


WRITERS = {"zip": write_zip, "legacy": write_legacy}


def op(name: str) -> bytes:
    return b"c" + name.replace(":", "\n", 1).encode() + b"\n"


def text(word: str) -> bytes:
    raw = word.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def attacks(sentinel: Path) -> dict[str, bytes]:
    """Pickles by the trick that they try."""
    command = f"touch {sentinel}"
    python = f"open({str(sentinel)!r}, 'w')"
    start, end = b"\x80\x02", b"."
    getattr_ = op("__builtin__:getattr") + op("collections:OrderedDict") + text("fromkeys")
    return {
        "os.system": start + op("os:system") + text(command) + b"\x85R" + end,
        "posix.system": start + op("posix:system") + text(command) + b"\x85R" + end,
        "eval": start + op("__builtin__:eval") + text(python) + b"\x85R" + end,
        "exec": start + op("builtins:exec") + text(python) + b"\x85R" + end,
        "inst": b"(" + text(command) + b"ios\nsystem\n" + end,
        "protocol 4": b"\x80\x04" + text("os") + text("system") + b"\x93" + text(command)
        + b"\x85R" + end,
        "partial": start + op("functools:partial") + op("os:system") + text(command) + b"\x86R"
        + end,
        "result of getattr": start + getattr_ + b"\x86R" + text(command) + b"\x85R" + end,
        "extension code": start + b"\x82\x01" + end,
        "class of torch": start + op("torch.utils.cpp_extension:load") + text(command)
        + b"\x85R" + end,
        "name with dots": start + op("argparse:_sys.modules") + b")R" + end,
        "hidden in omegaconf": start + op("omegaconf.dictconfig:DictConfig") + b")\x81}"
        + text("_content") + op("os:system") + text(command) + b"\x85Rs" + b"b" + end,
        "attribute of a function": start + op("torch._utils:_rebuild_tensor_v2") + b"}"
        + text("__code__") + text("x") + b"sb" + end,
    }  # fmt: skip
