"""The tables that a plan reads say what the installed ESPnet and our own task say."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.construct import load_class
from asr_dro_plugin.stack.espnet_options import OURS, TRAIN
from asr_dro_plugin.stack.names import COMPONENTS, DEFAULTS, OPTIONAL_SLOTS
from asr_dro_plugin.stack.signatures import signature_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def task():
    """Our task, with our classes registered: the slow import, once."""
    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.espnet.task import DROASRTask

    return DROASRTask


def test_the_tables_are_what_the_installed_espnet_says():
    check = [sys.executable, "tools/make_espnet_tables.py", "--check"]
    run = subprocess.run(check, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, f"{run.stdout}{run.stderr}"


def test_every_slot_holds_what_our_task_registers(task):
    for choices in task.class_choices_list:
        table = COMPONENTS[choices.name]
        assert choices.classes.keys() == table.keys()
        for name, cls in choices.classes.items():  # or a subclass of ours with the same arguments
            assert issubclass(cls, load_class(table[name])), name
            assert inspect.signature(cls) == inspect.signature(load_class(table[name])), name
        assert choices.default == DEFAULTS[choices.name]
        assert choices.optional == (choices.name in OPTIONAL_SLOTS), choices.name


def test_every_option_is_one_of_the_tasks_parser(task):
    parser = task.get_parser()
    names = {action.dest for action in parser._actions} - {"help", "print_config"}
    assert names == TRAIN.keys()
    assert {name: parser.get_default(name) for name in OURS} == {
        name: option.default for name, option in OURS.items()
    }


OUR_PATHS = sorted(
    facts_of(slot, name).plain or path
    for slot, table in COMPONENTS.items()
    for name, path in table.items()
    if path.startswith("asr_dro_plugin.")
)


@pytest.mark.parametrize("path", OUR_PATHS)
def test_what_is_read_of_a_class_of_ours_is_what_it_takes(path):
    real = inspect.signature(load_class(path)).parameters.values()
    named = [p for p in real if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    read = signature_of(path)
    assert [p.name for p in named] == list(read.parameters)
    assert read.open == any(p.kind == p.VAR_KEYWORD for p in real)
    for parameter in named:
        found = read.parameters[parameter.name]
        assert found.required == (parameter.default is parameter.empty)
        assert found.default is None or found.default == parameter.default
