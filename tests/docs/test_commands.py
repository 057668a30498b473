"""The commands and options that the documents name are real, by the parsers that read them."""

import argparse
import functools
import importlib
import re
import subprocess

import pytest

from asr_dro_plugin.bin.main import COMMANDS
from asr_dro_plugin.stack.espnet_options import TRAIN
from tests.docs.pages import PAGES, ROOT, calls, folder_of, lines_of, prose

RECIPE = ROOT / "egs2/asr_dro/asr1"
SLOW = {"train"}  # whose parser is ESPnet's: its import takes twenty seconds


class Found(Exception):
    """Carries the parser that a command was about to read its options with."""


@functools.cache
def parser_of(command):
    """The real parser of a command of ``asr-dro``."""

    def found(self, *_):
        raise Found(self)

    module = importlib.import_module(f"asr_dro_plugin.bin.{COMMANDS[command][0]}")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Found) as raised:
        for name in ("parse_args", "parse_known_args", "parse_intermixed_args"):
            patch.setattr(argparse.ArgumentParser, name, found)
        module.main([])
    return raised.value.args[0]


def all_options(parser):
    """Its options and those of its steps (``asr-dro lm build``)."""
    steps = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    below = [all_options(step) for choices in steps for step in choices.values()]
    return set(parser._option_string_actions).union(*below)


def named(program):
    """(page, words after the program) of every call of a program that the documents make."""
    return [(page, words[1:]) for page, words in calls() if words[0] == program]


@pytest.mark.parametrize(("page", "words"), named("asr-dro"))
def test_a_call_of_asr_dro_is_one_that_its_parser_takes(page, words, capsys):
    if not words or words[0] in ("COMMAND", "--help"):
        return
    command, *arguments = words
    assert command in COMMANDS
    options = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    if command in SLOW:
        assert options <= {"--help"}
        return
    parser = parser_of(command)
    try:
        (parser.parse_intermixed_args if command == "score" else parser.parse_args)(arguments)
    except SystemExit as end:  # a sentence may name an option without all that is required
        said = capsys.readouterr().err
        assert end.code == 0 or "are required" in said or "expected" in said, said
        assert options <= all_options(parser)


def options_of(script):
    """Options that a script prints with ``--help``."""
    done = subprocess.run(["bash", script.name, "--help"], cwd=script.parent, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=240)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^\s*--([a-z_0-9]+)", done.stdout, re.MULTILINE)) | {"help"}


@pytest.fixture(scope="module")
def recipe_options():
    return options_of(RECIPE / "asr.sh")


def data_options():
    """Options of the corpora's scripts, which ``--local_data_opts`` hands on."""
    places = [*(ROOT / "local").glob("data_*.py"), ROOT / "asr_dro_plugin/data/corpus_options.py"]
    return set(re.findall(r'"--([a-z_]+)"', "".join(path.read_text() for path in places)))


def test_every_option_of_the_recipe_that_is_named_with_it_exists(recipe_options):
    found = named("./run.sh")
    assert len(found) > 8
    for page, words in found:
        for word, value in zip(words[::2], [*words[1::2], ""]):
            assert word.startswith("--") and word[2:] in recipe_options | {"OPTION"}, (page, words)
            inner = set(re.findall(r"--([a-z_]+)", value))
            if word == "--asr_args":
                assert inner <= set(TRAIN), page
            if word == "--local_data_opts":
                assert inner <= data_options(), page


@pytest.mark.parametrize("script", ["tools/install.sh", "tools/check_install.py"])
def test_every_option_of_a_tool_that_is_named_with_it_exists(script):
    text = (ROOT / script).read_text()
    for page, words in named(script):
        for word in words:
            assert not word.startswith("--") or word in text, (page, words)


def test_every_option_in_the_prose_belongs_to_some_command(recipe_options):
    known = recipe_options | set(TRAIN) | data_options()
    for name in COMMANDS.keys() - SLOW:
        known |= {option.lstrip("-") for option in all_options(parser_of(name))}
    for script in ("tools/install.sh", "tools/check_install.py"):
        known |= set(re.findall(r"--([a-z_]+)", (ROOT / script).read_text()))
    for page in PAGES:
        if page != "docs/espnet_options.md":  # which lists what does not exist here
            named_here = set(re.findall(r"`[^`\n]*?--([a-z_0-9]+)\b", prose(page)))
            assert named_here <= known, (page, named_here - known)


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page, words in named("make"):
        assert not words or words[0] in targets, (page, words)


def test_every_command_of_asr_dro_is_named_in_the_documents():
    text = " ".join(PAGES.values())
    assert not [name for name in COMMANDS if not re.search(rf"asr-dro\s+{name}\b", text)]


def test_a_file_of_ours_in_a_shown_command_is_there_from_where_it_is_typed():
    named, wrong = 0, []
    for page, line in lines_of("bash", "bash run"):
        if line.startswith("./asr.sh"):  # ESPnet's, in a recipe of ESPnet's
            continue
        for word in re.findall(r"(?:\.\./)*(?:conf|tools|local|utils|egs2)/[\w./-]+\.\w+", line):
            named += 1
            wrong += [(page, word)] if not (folder_of(page) / word).exists() else []
    assert named > 15 and not wrong


def test_a_shown_call_of_the_recipe_begins_before_what_its_options_change():
    """Another stack, other settings or data are another experiment, with statistics of its own."""
    for page, words in named("./run.sh"):
        begin = int(words[words.index("--stage") + 1]) if "--stage" in words else 1
        if {"--asr_config", "--asr_args", "--ssl_checkpoint", "--onebatchtest"} & set(words):
            assert begin <= 10, (page, words)
