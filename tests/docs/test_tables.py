"""Tables of the documents hold what the code holds."""

import re
import runpy
import subprocess
import sys

import setuptools

from asr_dro_plugin import errors
from asr_dro_plugin.data.manifests import SYNONYMS
from asr_dro_plugin.decoding.options import KEYS, MODES
from tests.docs.pages import PAGES, ROOT, table_below
from tests.test_import_floors import FLOORS, INNER


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_training_configuration_and_its_twin_is_in_the_documents():
    text = " ".join(PAGES.values())
    for path in (ROOT / "conf").glob("*.yaml"):
        name = path.name.replace("_tiny.yaml", ".yaml")
        assert f"conf/{name}" in text, name


def test_the_keys_of_decoding_and_their_defaults():
    told = {}
    for names, default, _ in table_below("docs/decoding.md", "key of the YAML"):
        told |= dict.fromkeys(words(names), default)
    assert set(told) == {"mode", *KEYS}
    assert f"{KEYS['beam_size'].default['beam']} (beam), 50 (lm)" == told["beam_size"]
    for name in ("batch_duration", "nbest", "beam_size_token", "beam_threshold"):
        assert float(told[name]) == KEYS[name].default
    text = PAGES["docs/decoding.md"]
    assert all(f"`{mode}`" in text for mode in MODES)


def test_the_columns_of_a_table_of_utterances():
    told = {words(row[0])[0]: tuple(words(row[1])) for row in
            table_below("docs/data.md", "column")}  # fmt: skip
    assert told == {name: known[1:] for name, known in SYNONYMS.items()}


def test_the_exit_codes():
    told = {int(row[0]) for row in table_below("docs/troubleshooting.md", "code")}
    ours = {kind.exit_code for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, errors.UserError)}  # fmt: skip
    assert ours <= told and {0, 2, 130} <= told


def test_the_words_of_errors_are_words_of_the_code():
    sources = [path for folder in ("asr_dro_plugin", "local", "tools")
               for path in (ROOT / folder).rglob("*.*") if path.suffix in (".py", ".sh")
               and "venv" not in path.parts and ".install" not in path.parts]  # fmt: skip
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    for row in table_below("docs/troubleshooting.md", "the line says"):
        assert all(part in code for part in words(row[0])), row[0]


def test_the_extras(monkeypatch):
    arguments = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, "setup", lambda **given: arguments.update(given))
    runpy.run_path(str(ROOT / "setup.py"))
    told = {words(row[0])[0] for row in table_below("docs/install.md", "extra") if words(row[0])}
    assert told == set(arguments["extras_require"])


def test_the_picture_of_the_floors_is_what_the_imports_are_checked_by():
    page = PAGES["docs/architecture.md"]
    for comment, floors in (("floors", FLOORS), ("inner floors", INNER)):
        drawn = re.search(rf"<!-- {comment} -->\n```\n(.*?)```", page, re.DOTALL)[1]
        assert [set(line.split()) for line in drawn.splitlines() if line] == floors


def test_the_table_of_rooms_is_what_their_docstrings_say():
    """Stale: run tools/room_table.py."""
    program = [sys.executable, str(ROOT / "tools/room_table.py"), "--check"]
    assert subprocess.run(program, check=False).returncode == 0
