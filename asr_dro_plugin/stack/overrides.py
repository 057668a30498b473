"""ESPnet's command-line style as overrides of a YAML."""

import json
import shlex
import sys
from collections.abc import Sequence

from asr_dro_plugin.base.yaml_files import parse_value
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.espnet_options import TRAIN

# Options of ESPnet that would send training elsewhere than the stages look; asr.sh has its own.
SET_BY_RECIPE = {"output_dir": "asr_exp", "config": "asr_config"}


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


def split_words(arguments: str) -> list[str]:
    """Words as a shell has them, quotes keeping words together; nothing is evaluated.

    Raises:
        UserError: an unmatched quote.
    """
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise UserError(f"Cannot read the arguments '{arguments}': {error}.") from None


def overrides_from_arguments(arguments: str) -> list[str]:
    """ESPnet's command-line style as overrides.

    ``"--max_epoch 3 --encoder_conf dropout=0.1"`` gives
    ``["max_epoch=3", "encoder_conf.dropout=0.1"]``; several values become a list.

    Raises:
        UserError: a value without an option before it, an option without a value, or one that the
            recipe sets itself.
    """
    words = split_words(arguments)
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
    if len(values) > 1 or (name in TRAIN and TRAIN[name].kind == "list"):
        items = [parse_value(value, f"--{name} {value}") for value in values]
        return f"{name}={json.dumps(items, ensure_ascii=False)}"
    return f"{name}={values[0]}"
