"""The documents, as the tests of this folder read them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
}
RECIPE = ROOT / "egs2/asr_dro/asr1"
OF_THE_CHECKOUT = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/install.md")
FENCE = re.compile(r"^```(.*?)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(tag: str) -> list[tuple[str, str]]:
    """(page, content) of the fenced blocks with an info string, such as ``bash run``."""
    return [
        (page, content)
        for page, text in PAGES.items()
        for info, content in FENCE.findall(text)
        if info == tag
    ]


def folder_of(page: str) -> Path:
    """Where the lines of a page are typed (docs/README.md says so)."""
    return ROOT if page in OF_THE_CHECKOUT else RECIPE


def shown_files(page: str) -> dict[str, str]:
    """Name -> content of the blocks that a comment such as ``<!-- file: text -->`` names."""
    found = re.findall(r"^<!-- file: (\S+) -->\n```\n(.*?)^```", PAGES[page], re.M | re.S)
    return dict(found)


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", PAGES[page])


def lines_of(*tags: str) -> list[tuple[str, str]]:
    """(page, command line) of shell blocks; continued lines joined, comments left out."""
    found = []
    for tag in tags:
        for page, content in blocks(tag):
            for line in content.replace("\\\n", " ").splitlines():
                if command := re.sub(r"(^|\s)#.*", "", line).strip():
                    found.append((page, command))
    return found


def calls() -> list[tuple[str, list[str]]]:
    """(page, words) of every command in shell blocks and in the prose's code."""
    lines = lines_of("bash", "bash run")
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", prose(page).replace("\n", " ")):
            lines.append((page, code))
    found = []
    for page, line in lines:
        for part in re.split(r"&&|\|\||[;|]", line):
            try:
                words = shlex.split(part)
            except ValueError:  # half a sentence in code, not a command
                continue
            while words and re.match(r"[A-Z_]+=", words[0]):  # CMD_BACKEND=slurm ./run.sh
                words = words[1:]
            if words:
                found.append((page, words))
    return found


def table_below(page: str, header: str) -> list[list[str]]:
    """Cells of the rows of the Markdown table whose head begins with ``header``."""
    lines = PAGES[page].splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| {header} |")) + 2
    rows = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
