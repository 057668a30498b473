"""The commands and options that our own lines name: errors, help texts, closing lines."""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import ROOT

# Without what begins a longer word: `./run.sh`, `asr-dro pack`, `tools/install.sh`, `--lang`.
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z_0-9]*)")
CALL = re.compile(
    r"(?:asr-dro ([a-z][a-z-]+)|(\./run\.sh))((?:(?! asr-dro )(?!\.(?:\s|$))[^,;:()\]\n])*)"
)
SCRIPT = re.compile(r"(?<![\w./}-])((?:tools|local|utils|conf)/[\w/-]+\.(?:sh|py|yaml|tsv|conf))")
FOLDERS = ("asr_dro_plugin", "local", "tools")
GAP = "{}"  # where a value stands in an f-string


class Said(NamedTuple):
    """A string that may be printed, and its place."""

    path: Path
    line: int
    text: str

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text[:150]}"


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else GAP for v in node.values)
    return None


def strings_of(path: Path) -> Iterator[Said]:
    """The literal strings of a module, f-strings with ``{}`` for each value; no docstrings.

    A command's own docstring is: ``--help`` prints it.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    if path.parent.name == "bin":
        yield Said(path, 1, ast.get_docstring(tree) or "")
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(value) for value in node.values}
        if id(node) not in passed and (text := _text(node)) and " " in text.strip():
            yield Said(path, node.lineno, text)


def lines_of(path: Path) -> Iterator[Said]:
    """Lines of a shell script that print something."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if re.search(r"\b(die|_die|echo|log|needs|fail|warn)\b", line) and '"' in line:
            quoted = " ".join(re.findall(r'"((?:[^"\\]|\\.)*)"', line))
            yield Said(path, number, re.sub(r"\$\{?\w+[^}\s]*\}?", GAP, quoted))


@functools.cache
def everything_said() -> tuple[Said, ...]:
    """All of it, of the package, the recipe and the tools."""
    found = []
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.*"))]
    for path in [*files, *(ROOT / "egs2/asr_dro/asr1").glob("*.sh")]:
        if {"venv", "__pycache__", ".install"} & set(path.parts):
            continue
        reader = {".py": strings_of, ".sh": lines_of}.get(path.suffix)
        found += reader(path) if reader else ()
    return tuple(found)


def calls_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """(command of asr-dro or ``./run.sh``, words) of each call that a line shows."""
    for command, recipe, rest in CALL.findall(text):
        try:
            words = shlex.split(rest)
        except ValueError:
            words = rest.split()
        yield command or recipe, words
