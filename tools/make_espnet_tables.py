"""Write ``asr_dro_plugin/stack/espnet_tables.json``: what a plan must know of ESPnet and s3prl.

Options with kind, default and legal words, classes by name, and what their constructors take, from
ESPnet's own parsers and classes.  Run by hand when ESPnet's version changes; a test compares.
"""

import argparse
import difflib
import importlib
import inspect
import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from asr_dro_plugin.base.settings import ANY, kinds_of

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "asr_dro_plugin" / "stack" / "espnet_tables.json"
NO_OPTIONS = {"help", "print_config"}
# Beside the slots: the output layer, a transducer's joint network, what the default frontend hands
# its own frontend_conf to.
BESIDE = (
    "espnet2.asr.ctc:CTC",
    "espnet2.asr_transducer.joint_network:JointNetwork",
    "espnet2.legacy.nets.pytorch_backend.frontends.frontend:Frontend",
)
PARSERS_TYPES = {"int": "int", "float": "float", "str2bool": "bool"}
NO_UPSTREAMS = {"timit_posteriorgram", "load_and_convert_fairseq_ckpt"}
FACTS = {"kind", "kinds"}  # of an option and of an argument, which stay on one line
SIZES = ("str_or_int", "parse_size", "humanfriendly_parse_size_or_none")


def espnet_tables() -> dict:
    """The tables, from the ESPnet that is installed."""
    from espnet2.bin.asr_inference import get_parser
    from espnet2.tasks.abs_task import optim_classes, scheduler_classes
    from espnet2.tasks.asr import ASRTask

    parser = ASRTask.get_parser()
    slots = {choices.name: choices.classes for choices in ASRTask.class_choices_list}
    slots |= {"optim": optim_classes, "scheduler": scheduler_classes}
    classes = {path_of(cls): cls for table in slots.values() for cls in table.values()}
    classes |= {path: load(path) for path in BESIDE}
    return {
        "espnet": version("espnet"),
        "slots": {
            slot: {name: path_of(cls) for name, cls in table.items()}
            for slot, table in slots.items()
        },
        "beside": list(BESIDE),
        "s3prl_upstreams": s3prl_upstreams(),
        "train": dict(sorted(options_of(parser, leave_choices_of=slots))),
        "inference": dict(sorted(options_of(get_parser()))),
        "classes": {path: arguments_of(cls) for path, cls in sorted(classes.items())},
    }


def s3prl_upstreams() -> list[str]:
    """Names of s3prl's models."""
    from s3prl import hub

    return sorted({name for name in hub.options() if name[0].islower()} - NO_UPSTREAMS)


def path_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def load(path: str) -> type:
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def options_of(
    parser: argparse.ArgumentParser, leave_choices_of: Mapping = {}
) -> Iterator[tuple[str, dict]]:
    """Each option with its kind, its default, and its legal words where it has them."""
    for action in parser._actions:
        if action.dest in NO_OPTIONS:
            continue
        facts = {"kind": kind_of_option(action), "default": action.default}
        if action.choices and action.dest not in leave_choices_of:
            facts["choices"] = [word for word in action.choices if word is not None]
        yield action.dest, facts


def kind_of_option(action: argparse.Action) -> str:
    """Of the kinds of ``base.settings``; a question mark says that the option may be empty."""
    type_name = getattr(action.type, "__name__", "")
    if action.nargs not in (None, 0) or type(action).__name__ == "_AppendAction":
        return "list"
    if "NestedDictAction" in (type(action).__name__, type_name):
        kind = "dict"
    elif type_name in SIZES:
        kind = "size"
    else:
        kind = PARSERS_TYPES.get(type_name.removesuffix("_or_none"), "str")
    optional = action.default is None or type_name.endswith("_or_none")
    return f"{kind}?" if optional or None in (action.choices or ()) else kind


def arguments_of(cls: type) -> dict[str, dict]:
    """A constructor's arguments: kinds, and the default where it is plain; ``**`` takes others."""
    found = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found["**"] = {}
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            found[name] = argument_of(parameter, cls)
    return found


def argument_of(parameter: inspect.Parameter, cls: type) -> dict:
    kinds = set(annotated_kinds(parameter.annotation, cls))
    default = parameter.default
    if default is parameter.empty:
        return {"kinds": sorted(kinds)}
    kinds |= {"none"} if default is None else {"bool"} if isinstance(default, bool) else set()
    return {"kinds": sorted(kinds), "default": default if is_plain(default) else None}


def annotated_kinds(annotation: object, cls: type) -> frozenset[str]:
    """As ``kinds_of``, for annotations in text too, which are ESPnet's and torch's own sources."""
    if annotation is inspect.Parameter.empty:
        return frozenset({ANY})
    if isinstance(annotation, str):
        names = vars(importlib.import_module(cls.__module__))
        annotation = eval(annotation, {**vars(typing), **names})
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
        return frozenset().union(*(annotated_kinds(member, cls) for member in members))
    if origin is typing.Literal:
        return frozenset({"str", "int", "bool"})
    if annotation is torch.Tensor:
        return frozenset()  # never written in a YAML
    return kinds_of(annotation)


def is_plain(value: object) -> bool:
    """Whether a YAML could hold a value."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(each) for key, each in value.items())
    return value is None or type(value) in (bool, int, float, str)


def as_text(tables: Mapping) -> str:
    """JSON with an option, a name or an argument a line."""
    return "".join(_lines(tables, 0)) + "\n"


def _lines(value: object, depth: int) -> Iterator[str]:
    indent = " " * depth
    if isinstance(value, list) and depth == 1:
        inner, ends = (f"  {json.dumps(each)}" for each in value), "[]"
    elif isinstance(value, Mapping) and value and not FACTS & value.keys():
        inner = (f" {indent}{json.dumps(k)}: {''.join(_lines(v, depth + 1))}"
                 for k, v in value.items())  # fmt: skip
        ends = "{}"
    else:
        yield json.dumps(value, ensure_ascii=False)
        return
    yield ends[0] + "\n" + ",\n".join(inner) + f"\n{indent}{ends[1]}"


def main() -> None:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    args = parser.parse_args()
    found = as_text(espnet_tables())
    if not args.check:
        TABLES.write_text(found, encoding="utf-8")
        return
    written = TABLES.read_text(encoding="utf-8").splitlines()
    changes = list(difflib.unified_diff(written, found.splitlines(), n=0, lineterm=""))[2:]
    if changes:
        print(*changes[:20], sep="\n")
        sys.exit(
            f"ERROR: {TABLES.name} is not what ESPnet {version('espnet')} says. "
            "Run tools/make_espnet_tables.py."
        )


if __name__ == "__main__":
    main()
