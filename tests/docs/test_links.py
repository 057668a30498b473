"""What the documents point to is there."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
# Folders of the repository; what stages make (data/, exp/ ...) is not there.
OURS = "conf|local|tools|egs2|asr_dro_plugin|tests|benchmarks|docs"


def anchors(text: str) -> set[str]:
    """Names that GitHub gives the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    dead = []
    for target in LINK.findall(PAGES[page]):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8"))):
            dead.append(target)
    assert not dead


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page):
    paths = re.findall(rf"`((?:{OURS})/[\w./-]*\w)`", prose(page))
    assert not [path for path in paths if path != "tools/venv" and not (ROOT / path).exists()]


def test_the_index_lists_every_document_and_the_readme_leads_to_each():
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    assert set(re.findall(r"^\| \[(\w+\.md)\]", PAGES["docs/README.md"], re.MULTILINE)) == (
        pages - {"README.md"}
    )
    for page in pages - {"README.md"}:
        assert f"docs/{page}" in PAGES["README.md"]


def test_the_readme_is_short_and_shows_picture_commands_and_table():
    text = PAGES["README.md"]
    assert len(text.encode()) <= 6500
    assert "](docs/picture.svg)" in text
    for words in ("./run.sh", "make test", "macro  ", "worst: "):
        assert words in text
    assert "@@" not in text
