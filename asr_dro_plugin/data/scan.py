"""Kaldi's tables as they may come: read with all their damage instead of stopping at the first."""

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.base.foreign_files import HEAD, what_it_is
from asr_dro_plugin.text.steps import is_invisible


@dataclass
class Table:
    """One file, read with all its damage.

    Attributes:
        rows: id -> value, the first of its lines.
        lines: id -> line number, from 1.
        order: ids as bytes, in file order.
        damage: kind -> (line, words) of every damaged line, in file order.
    """

    path: Path
    rows: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    order: list[bytes] = field(default_factory=list)
    damage: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)

    def note(self, kind: str, line: int, words: str) -> None:
        """Add one damaged line."""
        self.damage.setdefault(kind, []).append((line, words))


def scan(path: Path) -> Table:
    """Read a table, collecting damage instead of raising."""
    table = Table(path)
    raw = path.read_bytes()
    if told := what_it_is(path, raw[:HEAD]):
        table.note("foreign", 1, told.rstrip("."))
        return table
    if raw.startswith(b"\xef\xbb\xbf"):
        table.note("bom", 1, "begins with a byte order mark")
        raw = raw[3:]
    if raw and not raw.endswith(b"\n"):
        table.note("newline", raw.count(b"\n") + 1, "does not end with a newline")
    for number, line in enumerate(raw.removesuffix(b"\n").split(b"\n") if raw else [], 1):
        _scan_line(table, number, line)
    keys = zip(table.order, table.order[1:], strict=False)
    for index, (before, after) in enumerate(keys):
        if after < before:
            words = f"'{after.decode()}' comes after '{before.decode()}': not sorted"
            line = table.lines.get(after.decode(), index + 2)
            table.note("order", line, f"{words} (LC_ALL=C sort)")
    return table


def _scan_line(table: Table, number: int, line: bytes) -> None:
    if line.endswith(b"\r"):
        table.note("cr", number, "has a Windows line end")
        line = line[:-1]
    try:
        content = line.decode("utf-8")
    except UnicodeDecodeError as error:
        table.note("utf8", number, f"is not UTF-8 (byte 0x{line[error.start]:02x})")
        return
    if not content.strip(" \t"):
        table.note("empty", number, "is an empty line")
        return
    separator = re.match(r"[^ \t]*([ \t]*)", content)[1]
    if content[0] in " \t" or "\t" in separator or len(separator) > 1 or content[-1] in " \t":
        words = "separates id and value by more than one space, or ends with one"
        table.note("blanks", number, words)
    key, value = [*re.split("[ \t]+", content.strip(" \t"), maxsplit=1), ""][:2]
    if not is_legal_id(key):
        table.note("id", number, f"has an id with a space or control character: {key!a}")
    if has_control(value):
        table.note("control", number, f"has a tab, control character or line separator: {value!a}")
    if key in table.rows:
        words = f"gives '{key}' a second time (first: line {table.lines[key]})"
        table.note("duplicate", number, words)
        if table.rows[key] != value:
            table.conflicts.add(key)
        return
    table.rows[key], table.lines[key] = value, number
    table.order.append(key.encode())


def is_legal_id(key: str) -> bool:
    """Whether every reader splits ``key`` off alike: no Unicode blank, no invisible character."""
    return bool(key) and not any(map(_is_unseen, key))


def _is_unseen(char: str) -> bool:
    return char.isspace() or unicodedata.category(char)[0] == "C" or is_invisible(char)


def has_control(value: str) -> bool:
    """Whether a value holds a tab, a control character or a line separator of Unicode."""
    return any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in value)
