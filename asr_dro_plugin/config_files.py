"""Reading a YAML configuration: duplicate keys refused, overrides applied."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import IO

import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.train_options import TOP_LEVEL_KEYS

# Options of ESPnet that would send training elsewhere than the stages look; asr.sh has its own.
SET_BY_RECIPE = {"output_dir": "asr_exp", "config": "asr_config"}


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader keeps the last of two equal keys in silence; this one refuses them."""


def _construct_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict:
    seen = set()
    for key_node, _ in node.value:
        key = (key_node.tag, key_node.value) if isinstance(key_node, yaml.ScalarNode) else key_node
        if key in seen:
            mark = key_node.start_mark
            raise UserError(f"{mark.name}, line {mark.line + 1}: key '{key[1]}' appears twice.")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def load_config(path: str | os.PathLike, overrides: Sequence[str] = ()) -> dict:
    """Read a YAML file and apply overrides of the form ``key=value`` or ``key.sub=value``.

    Raises:
        UserError: no such file, no YAML, a key twice, no mapping, a malformed override.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            config = parse_config(stream, str(path))
    except OSError as error:
        raise UserError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"Cannot read the configuration {path}: it is no UTF-8 text.") from None
    for override in overrides:
        _apply(config, override)
    return config


def parse_config(source: IO[str], where: str) -> dict:
    """The mapping that a YAML's stream holds.

    Raises:
        UserError: no YAML, a key twice, no mapping; names ``where``.
    """
    try:
        config = yaml.load(source, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise UserError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from None
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise UserError(f"{where} must hold 'key: value' lines, not a {type(config).__name__}.")
    return config


def _apply(config: dict, override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise UserError(f"Override '{override}' is not of the form key=value.")
    *parents, last = key.strip().split(".")
    for parent in parents:
        if not isinstance(config.get(parent), dict):
            config[parent] = {}
        config = config[parent]
    value = _parse_value(text, override)
    if last.endswith("_conf") and isinstance(value, dict) and isinstance(config.get(last), dict):
        config[last].update(value)  # as ESPnet's command line does
    else:
        config[last] = value


def _parse_value(text: str, where: str) -> object:
    try:
        return yaml.safe_load(text) if text.strip() else text
    except yaml.YAMLError:
        raise UserError(f"The value in '{where}' is not valid YAML.") from None


def join_asr_args(argv: Sequence[str] | None) -> list[str]:
    """``--asr_args VALUE`` as one word: argparse takes a value ``--max_epoch 3`` for an option.

    Args:
        argv: a command line; None for the process's own.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for index in range(len(words) - 2, -1, -1):
        if words[index] == "--asr_args":
            words[index : index + 2] = [f"--asr_args={words[index + 1]}"]
    return words


def overrides_from_arguments(arguments: str) -> list[str]:
    """ESPnet's command-line style as overrides.

    ``"--max_epoch 3 --encoder_conf dropout=0.1"`` gives
    ``["max_epoch=3", "encoder_conf.dropout=0.1"]``; several values become a list.

    Raises:
        UserError: a value without an option before it, an option without a value, or one that the
            recipe sets itself.
    """
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise UserError(f"Cannot read the arguments '{arguments}': {error}.") from None
    options: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            name, separator, value = word[2:].partition("=")
            options.append((name, [value] if separator else []))
        elif options:
            options[-1][1].append(word)
        else:
            raise UserError(f"'{word}' in the arguments '{arguments}' belongs to no --option.")
    return [_override(name, values) for name, values in options]


def _override(name: str, values: list[str]) -> str:
    if name in SET_BY_RECIPE:
        raise UserError(
            f"--asr_args may not hold --{name}, which the recipe sets. "
            f"Give --{SET_BY_RECIPE[name]} instead."
        )
    if not values:
        raise UserError(f"--{name} needs a value.")
    if name.endswith("_conf") and len(values) == 1 and not values[0].lstrip().startswith("{"):
        return f"{name}.{values[0]}"
    if TOP_LEVEL_KEYS.get(name) == "list" or len(values) > 1:
        items = [_parse_value(value, f"--{name} {value}") for value in values]
        return f"{name}={json.dumps(items, ensure_ascii=False)}"
    return f"{name}={values[0]}"
