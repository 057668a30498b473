"""What our lines tell to do can be done: commands, options and files that they name are there."""

import re
from pathlib import Path

import pytest

from asr_dro_plugin.bin.main import COMMANDS
from asr_dro_plugin.errors import suggestion
from asr_dro_plugin.stack.espnet_options import TRAIN
from tests.docs.pages import ROOT
from tests.docs.remedies import OPTION, SCRIPT, calls_in, everything_said
from tests.docs.test_commands import RECIPE, SLOW, all_options, data_options, options_of, parser_of

GONE = {"plan"}
# ESPnet's script's and install.sh's, whose names are said with them; any option at all.
ELSEWHERE = {"feats_normalize", "extras", "option", "help"}
NO_NAME = re.compile("_X|NAME")
MODULES = {f"{module}.py": name for name, (module, _) in COMMANDS.items()}


@pytest.fixture(scope="module")
def options():
    """command -> names of its options."""
    found = {
        name: {option.lstrip("-") for option in all_options(parser_of(name))}
        for name in COMMANDS.keys() - SLOW
    }
    return {**found, "train": set(TRAIN), "./run.sh": options_of(RECIPE / "asr.sh")}


def test_every_command_that_a_line_names_takes_the_options_that_it_shows(options):
    shown, wrong = 0, []
    for said in everything_said():
        for command, words in calls_in(said.text):
            named = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
            meant = named or suggestion(command, COMMANDS)  # else a word: `asr-dro reads schema 1`
            if command not in options.keys() | GONE and meant:
                wrong.append(said.where)
            elif unknown := named - options.get(command, named) - {"help"}:
                wrong.append((said.where, unknown))
            shown += bool(named)
    assert shown > 15 and not wrong


def test_every_script_and_configuration_that_a_line_names_is_there():
    named = [
        (path, said.where)
        for said in everything_said()
        for path in SCRIPT.findall(said.text)
        if not NO_NAME.search(path)
    ]
    assert len(named) > 15
    assert not [each for each in named
                if not any((folder / each[0]).exists() for folder in (ROOT, RECIPE))]  # fmt: skip


def may_name(path: Path, options: dict[str, set[str]]) -> set[str]:
    """Options that a line of this file may tell to give.

    A command's module those of that command and of ./run.sh, which calls it; the tools and the
    scripts their own, the corpora's theirs; what several commands share, those of any command.
    """
    room = path.relative_to(ROOT)
    if room.parent.name == "bin" and path.name in MODULES:
        known = options[MODULES[path.name]] | options["./run.sh"]
        leads_to = {"onebatchtest.py": "train", "unpack.py": "transcribe"}.get(path.name, "info")
        return known | options[leads_to]
    known = set().union(*options.values())
    if room.parts[0] == "tools" or path.suffix == ".sh" or room.parent.name == "bin":
        known |= set(OPTION.findall(path.read_text(encoding="utf-8")))
    if room.parts[0] == "local" or room.parts[1] in ("data", "text"):  # as run.sh calls it
        known |= data_options() | {"allow_empty_text"}  # of utils/validate_data_dir.sh
        known.discard("source")
    return known


def test_every_option_that_a_line_names_is_one_of_the_command_that_says_so(options):
    wrong = []
    for said in everything_said():
        plain = re.sub(r"asr-dro [a-z].*", "", said.text, flags=re.DOTALL)  # the test above
        if unknown := set(OPTION.findall(plain)) - may_name(said.path, options) - ELSEWHERE:
            wrong.append((said.where, unknown))
    assert not wrong
