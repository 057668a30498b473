"""The static tables say what ESPnet (and our registered classes) say."""

import argparse
import importlib
import inspect

import pytest

from asr_dro_plugin.stack import espnet_options as train_options
from asr_dro_plugin.stack import names as stack_names
from asr_dro_plugin.stack.check import signature_for
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
    paths = [path for slot in slots for path in stack_names.classes_of(slot).values()]
    return [*paths, stack_names.CTC_CLASS]


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


def test_a_class_that_hands_its_keywords_on_has_its_bases_arguments():
    signature = signature_for("asr_dro_plugin.espnet.model.model:DROASRModel")
    assert {"groups", "ctc_weight", "lsm_weight"} <= set(signature.parameters)
    assert not signature.open


# Tiny networks for the classes that are built from a pretrained model's configuration.
MODEL_CONFIGS = {
    "asr_dro_plugin.espnet.parts.hf_wav2vec2:HFWav2Vec2Encoder": {
        "model_type": "wav2vec2", "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 8, "conv_dim": [4] * 7,
        "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
    },
    "asr_dro_plugin.espnet.parts.hf_whisper:HFWhisperEncoder": {"d_model": 12, "encoder_layers": 1},
    "asr_dro_plugin.espnet.parts.hf_whisper:HFWhisperDecoder": {"d_model": 12, "decoder_layers": 1},
}  # fmt: skip
_HF = "asr_dro_plugin.espnet.parts.hf_wav2vec2"
MODEL_CONFIGS[f"{_HF}:FairseqWav2Vec2Encoder"] = MODEL_CONFIGS[f"{_HF}:HFWav2Vec2Encoder"]
# What the task gives.
GIVEN = {
    "asr_dro_plugin.espnet.parts.hf_whisper:HFWhisperDecoder": {
        "vocab_size": 9, "encoder_output_size": 12,
    },
}  # fmt: skip


@pytest.mark.parametrize("adapter", stack_names.PLAIN_CLASSES)
def test_an_adapter_has_the_arguments_and_the_parameters_of_its_plain_class(task, adapter):
    plain, attribute = stack_names.PLAIN_CLASSES[adapter]
    assert signature_of(adapter) == signature_of(plain)
    conf = {"model_config": MODEL_CONFIGS[adapter]} if adapter in MODEL_CONFIGS else {}
    given = GIVEN.get(adapter, {"input_size": 40})
    ours, theirs = (load(path)(**given, **conf) for path in (adapter, plain))
    names = [name for name, _ in ours.named_parameters()]
    assert names == [f"{attribute}.{name}" for name, _ in theirs.named_parameters()]
