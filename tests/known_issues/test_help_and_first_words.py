"""What is said first: a version, a help with groups and an example, a line before a long import.

Twenty to thirty seconds passed without a sign before transcribe, decode, align and train began;
``asr-dro train --help`` was headed main.py, and helps showed the marks of docstrings.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

import asr_dro_plugin
from asr_dro_plugin.base import loading
from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.bin.main import COMMANDS, dispatch
from asr_dro_plugin.bin.train import asks_for_help
from tests.docs.test_commands import parser_of

MANY = 9  # options above which a help needs groups
OURS = sorted(set(COMMANDS) - {"train"})


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_told(capsys, word):
    assert dispatch([word]) == 0
    assert capsys.readouterr().out == f"asr-dro {asr_dro_plugin.__version__}\n"


def helps(command):
    """The help of a command and of its steps."""
    parser = parser_of(command)
    steps = [a.choices for a in parser._actions if getattr(a, "choices", None)]
    below = [each for choices in steps if isinstance(choices, dict) for each in choices.values()]
    return [parser, *below]


@pytest.mark.parametrize("command", OURS)
def test_a_help_has_its_own_name_an_example_and_no_backtick(command):
    for parser in helps(command):
        text = parser.format_help()
        head, _, rest = text.partition("\n\n")
        assert head.startswith(f"usage: asr-dro {command}")
        assert f"asr-dro {command} " in rest and "`" not in text
        assert "(default: )" not in text


@pytest.mark.parametrize("command", OURS)
def test_a_help_of_many_options_has_groups(command):
    for parser in helps(command):
        shown = [
            [action for action in group._group_actions if action.help != argparse.SUPPRESS]
            for group in parser._action_groups
        ]
        assert max(map(len, shown)) <= MANY, parser.prog


def test_a_group_takes_switches_as_a_parser_does():
    parser = Parser(prog="x", description="``x``: does `y`.")
    parser.add_argument_group("more").add_switch("--strict", "stop")
    assert parser.parse_args(["--strict", "true"]).strict is True
    assert "x: does y." in parser.format_help()


def test_the_help_of_train_is_headed_by_its_own_name_and_has_an_example():
    from asr_dro_plugin.espnet.task import DROASRTask

    text = DROASRTask.get_parser().format_help()
    assert text.startswith("usage: asr-dro train ")
    assert "Example: asr-dro train --config" in text and "`" not in text


def test_what_is_loaded_is_said_once_before_it_is(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "asr_dro_plugin.espnet", raising=False)
    with loading.loading("exp/asr_X/valid.pth"):
        said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("Loading PyTorch, ESPnet and exp/asr_X/valid.pth")
    monkeypatch.setitem(sys.modules, "asr_dro_plugin.espnet", loading)
    with loading.loading("exp/asr_X/valid.pth"):
        assert capsys.readouterr().err == ""


def test_train_says_so_within_a_second_of_its_own_imports(tmp_path):
    """Its first line is there before PyTorch is: a stand-in ends the process at that import."""
    (tmp_path / "torch.py").write_text("raise SystemExit(7)\n")
    code = "from asr_dro_plugin.bin.train import main; main(['--help'])"
    root = str(Path(asr_dro_plugin.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={"PYTHONPATH": f"{tmp_path}:{root}", "PATH": ""})  # fmt: skip
    assert done.returncode == 7
    assert done.stderr.startswith("Loading PyTorch, ESPnet and ")
    assert asks_for_help(["--help"]) and not asks_for_help(["--config", "x"])
