"""The static tables say what ESPnet (and our registered classes) say."""

import argparse
import importlib
import inspect

import pytest

from asr_dro_plugin.stack import espnet_options as train_options
from asr_dro_plugin.stack import names as stack_names
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.signatures import signature_of

NO_OPTIONS = {"help", "print_config"}


@pytest.fixture(scope="module")
def task():
    """Our task, with our classes registered: the slow import, once."""
    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.espnet.task import DROASRTask

    return DROASRTask


def path_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def kind_of(action: argparse.Action) -> str:
    """The kind of an option, from how its parser was set up."""
    type_name = getattr(action.type, "__name__", "")
    if action.nargs not in (None, 0) or type(action).__name__ == "_AppendAction":
        return "list"
    if "NestedDictAction" in (type(action).__name__, type_name):
        kind = "dict"
    elif type_name in ("str_or_int", "parse_size", "humanfriendly_parse_size_or_none"):
        kind = "size"
    else:
        names = {"int": "int", "float": "float", "str2bool": "bool"}
        kind = names.get(type_name.removesuffix("_or_none"), "str")
    optional = action.default is None or type_name.endswith("_or_none")
    return f"{kind}?" if optional or None in (action.choices or ()) else kind


def kinds_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    return {a.dest: kind_of(a) for a in parser._actions if a.dest not in NO_OPTIONS}


def test_every_component_of_every_slot_is_in_the_table(task):
    for choices in task.class_choices_list:
        table = stack_names.COMPONENTS[choices.name]
        assert choices.classes.keys() == table.keys()
        for name, cls in choices.classes.items():  # or a subclass of ours with the same arguments
            assert issubclass(cls, load(table[name])), name
            assert inspect.signature(cls) == inspect.signature(load(table[name])), name


def test_defaults_and_empty_slots_are_those_of_the_task(task):
    for choices in task.class_choices_list:
        assert stack_names.DEFAULTS[choices.name] == choices.default
        assert choices.optional == (choices.name in stack_names.OPTIONAL_SLOTS), choices.name
    parser = task.get_parser()
    for name in ("optim", "scheduler"):
        assert stack_names.DEFAULTS[name] == parser.get_default(name)


def test_optimizers_and_schedulers_are_espnets():
    from espnet2.tasks.abs_task import optim_classes, scheduler_classes

    shipped = {name: path_of(cls) for name, cls in optim_classes.items()}
    assert shipped == stack_names.OPTIMIZERS
    assert {n: path_of(c) for n, c in scheduler_classes.items()} == stack_names.SCHEDULERS


def test_every_option_of_the_training_parser_has_its_kind(task):
    assert kinds_of(task.get_parser()) == train_options.TOP_LEVEL_KEYS


def test_espnets_own_options_are_told_from_ours(task):
    from espnet2.tasks.asr import ASRTask

    espnets = {a.dest for a in ASRTask.get_parser()._actions} - NO_OPTIONS
    assert espnets == set(train_options.ESPNET_TRAIN_KEYS)


def test_choices_of_the_training_options_are_the_parsers(task):
    slots = {*stack_names.COMPONENTS, "optim", "scheduler"}
    for action in task.get_parser()._actions:
        if action.choices and action.dest not in slots:
            legal = tuple(choice for choice in action.choices if choice is not None)
            assert train_options.TRAIN_CHOICES[action.dest] == legal, action.dest


def test_inference_options_are_espnets_and_ours():
    from espnet2.bin.asr_inference import get_parser

    assert kinds_of(get_parser()) == train_options.ESPNET_INFERENCE_KEYS
    for action in get_parser()._actions:
        if action.choices:
            legal = tuple(choice for choice in action.choices if choice is not None)
            assert train_options.INFERENCE_CHOICES[action.dest] == legal


def every_class() -> list[str]:
    slots = (*stack_names.COMPONENTS, "optim", "scheduler")
    paths = [
        facts_of(slot, name).plain or path
        for slot in slots
        for name, path in stack_names.classes_of(slot).items()
    ]
    return [*dict.fromkeys(paths), stack_names.CTC_CLASS]


def load(path: str) -> type:
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", every_class())
def test_signature_read_from_the_source_is_the_real_one(task, path):
    real = inspect.signature(load(path)).parameters.values()
    named = [p for p in real if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    read = signature_of(path)
    assert [p.name for p in named] == list(read.parameters)
    assert read.open == any(p.kind == p.VAR_KEYWORD for p in real)
    for parameter in named:
        assert read.parameters[parameter.name].required == (parameter.default is parameter.empty)
        known = read.parameters[parameter.name].default
        if known is not None and not isinstance(known, (list, tuple)):
            assert known == parameter.default
