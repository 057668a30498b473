#!/usr/bin/env python3
"""Writes the table of rooms in docs/architecture.md from the docstrings of the rooms.

    tools/room_table.py            writes it
    tools/room_table.py --check    exit 1 where it is stale

A room is a folder of the package.  The first paragraph of its ``__init__`` is its contract; the one
that begins ``Imports:`` says which rooms it may import.  Rows stand in the order of the picture of
the floors above the table.  Standard library only.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "asr_dro_plugin"
PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->\n"
FLOORS = re.compile(r"<!-- floors -->\n```\n(.*?)```", re.DOTALL)


def rooms() -> dict[str, tuple[str, str]]:
    """Room -> (contract, the rooms that it may import); inner rooms are named ``espnet.run``."""
    found = {}
    for path in PACKAGE.rglob("*/__init__.py"):
        name = path.parent.relative_to(PACKAGE).as_posix().replace("/", ".")
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        parts = [" ".join(part.split()).replace("``", "`") for part in text.split("\n\n")]
        imports = next(
            (part for part in parts if part.startswith("Imports: ")), "as the room around"
        )
        found[name] = parts[0], imports.removeprefix("Imports: ").rstrip(".")
    return found


def table(page: str) -> str:
    """The table in Markdown, for a page with the picture of the floors."""
    found = rooms()
    lines = ["| room | contract | may import |", "|---|---|---|"]
    for outer in FLOORS.search(page)[1].split():
        for name in sorted(room for room in found if room.split(".")[0] == outer):
            lines.append(f"| `{name.replace('.', '/')}/` | {found[name][0]} | {found[name][1]} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    before = PAGE.read_text("utf-8")
    head, rest = before.split(BEGIN)
    after = head + BEGIN + table(before) + END + rest.split(END)[1]
    if "--check" in sys.argv[1:]:
        return int(after != before)
    PAGE.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
