"""Files that were given for UTF-8 text and are something else, told by their first bytes.

Sources: the byte order marks of Unicode (section 23.8), and the signatures of RFC 1952 (gzip), of
xz, bzip2, zstd and zip files.
"""

import os
import shlex
import zipfile
from collections.abc import Collection
from pathlib import Path

from asr_dro_plugin.errors import UserError

HEAD = 4096  # bytes that tell
GZIP = "gzip"
# signature -> kind, and the program that unpacks it to its output
_PACKED = {
    b"\x1f\x8b": (GZIP, "gzip -dc <"),
    b"\xfd7zXZ\0": ("xz", "xz -dc <"),
    b"BZh": ("bzip2", "bzip2 -dc <"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc <"),
}
_ENDINGS = (".gz", ".xz", ".bz2", ".zst", ".zip")
_ZIP = b"PK\x03\x04"
_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"),
)  # fmt: skip
_OTHERS = {
    b"%PDF": "a PDF document", b"PAR1": "a Parquet table", b"ARROW1": "an Arrow table",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document",
}  # fmt: skip
WORKBOOK = "an Excel workbook"
NUL_SHARE = 0.05  # of the bytes, from which on a text is one of two bytes a character


def what_it_is(path: str | os.PathLike, head: bytes, passed: Collection[str] = ()) -> str:
    """What a file is that is no UTF-8, with the remedy; empty where its first bytes do not tell.

    Args:
        path: the file, for the command.
        head: its first bytes.
        passed: kinds of packed files that the caller reads.
    """
    for signature, (kind, program) in _PACKED.items():
        if head.startswith(signature) and kind not in passed:
            return f"is a {kind} file, not text. {_unpack(path, program)}"
    if head.startswith(_ZIP):
        return _zip(path)
    if encoding := _wide(head[:HEAD]):
        return f"is {encoding} text, not UTF-8. {convert(path, encoding)}"
    for signature, kind in _OTHERS.items():
        if head.startswith(signature):
            return f"is {kind}, not text. Export it as CSV or as JSON lines in UTF-8."
    return ""


def refuse_foreign(path: str | os.PathLike, head: bytes, passed: Collection[str] = ()) -> None:
    """Raise for a file that is no UTF-8 by its first bytes, as ``what_it_is`` says."""
    if told := what_it_is(path, head, passed):
        raise UserError(f"{path} {told}")


def not_utf8(path: str | os.PathLike, line: int, byte: int) -> UserError:
    """The refusal of a line that does not decode."""
    return UserError(f"{path}:{line} is not UTF-8 (byte 0x{byte:02x}). {convert_one_byte(path)}")


def convert_one_byte(path: str | os.PathLike) -> str:
    """The remedy for a text of one byte a character, whose encoding its owner knows."""
    return "Convert it from what it is in (Western: CP1252, Cyrillic: CP1251), for example: " + (
        _command("iconv -f CP1252 -t UTF-8", path)
    )


def convert(path: str | os.PathLike, encoding: str) -> str:
    """The remedy for a text in a known encoding."""
    return "Convert it and give the new file: " + _command(f"iconv -f {encoding} -t UTF-8", path)


def new_name(path: str | os.PathLike) -> Path:
    """What a converted or unpacked file is to be called; none that is there already."""
    path = Path(path)
    if path.suffix in _ENDINGS and not path.with_suffix("").exists():
        return path.with_suffix("")
    return path.with_name(f"{path.stem}.converted{path.suffix}")


def _command(program: str, path: str | os.PathLike) -> str:
    return f"{program} {shlex.quote(str(path))} > {shlex.quote(str(new_name(path)))}"


def _unpack(path: str | os.PathLike, program: str) -> str:
    return "Unpack it and give the new file: " + _command(program, path)


def _zip(path: str | os.PathLike) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        names = []
    if "[Content_Types].xml" in names:
        return f"is {WORKBOOK}, not text. Save it as CSV UTF-8 in a spreadsheet program."
    if len(names) == 1:
        return f"is a zip file, not text. {_unpack(path, 'unzip -p')}"
    return f"is a zip file of {len(names)} files, not text. Unpack it and give one of them."


def _wide(head: bytes) -> str:
    """The encoding of a text of two or four bytes a character, by its mark or its zero bytes."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if head.count(0) < max(1, NUL_SHARE * len(head)):
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    for encoding, is_likely in (("UTF-16LE", odd > even), ("UTF-16BE", even > odd)):
        if is_likely and _decodes(head, encoding):
            return encoding
    return ""


def _decodes(head: bytes, encoding: str) -> bool:
    """Whether it is text in that encoding, but for half a character at its end."""
    return "\0" not in head[: len(head) // 2 * 2].decode(encoding, "replace")
