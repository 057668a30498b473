"""Reading a YAML configuration: duplicate keys refused, overrides applied."""

import os
from collections.abc import Sequence
from typing import IO

import yaml

from asr_dro_plugin.errors import UserError


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
    value = parse_value(text, override)
    if last.endswith("_conf") and isinstance(value, dict) and isinstance(config.get(last), dict):
        config[last].update(value)  # as ESPnet's command line does
    else:
        config[last] = value


def parse_value(text: str, where: str) -> object:
    try:
        return yaml.safe_load(text) if text.strip() else text
    except yaml.YAMLError:
        raise UserError(f"The value in '{where}' is not valid YAML.") from None
