"""The command line's parser, and types of values that argparse lacks, in the recipe's words."""

import argparse
from typing import Any


class _Switches:
    """What parsers and their groups have beside argparse's."""

    def add_switch(self, name: str, help: str, default: bool | None = False) -> None:
        """An option that takes ``true`` or ``false``."""
        self.add_argument(name, type=boolean, default=default, metavar="true|false", help=help)


class Group(_Switches, argparse._ArgumentGroup):
    """Options under a title of their own."""


class Parser(_Switches, argparse.ArgumentParser):
    """Options that are never abbreviated, a text as it is laid out, defaults behind the help.

    Takes what ``argparse.ArgumentParser`` takes; description and epilog may be docstrings, whose
    marks of code a terminal does not need.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": _Help, "allow_abbrev": False, **kwargs})
        for name in ("description", "epilog"):
            setattr(self, name, plain_words(getattr(self, name)))

    def add_argument_group(self, *args: Any, **kwargs: Any) -> Group:
        """A group that takes switches too."""
        group = Group(self, *args, **kwargs)
        self._action_groups.append(group)
        return group


def plain_words(text: str | None) -> str | None:
    """Without the backticks of a docstring."""
    return text and text.replace("`", "")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Tells each default once, as it would be typed."""

    def _get_help_string(self, action: argparse.Action) -> str:
        words, default = action.help or "", action.default
        told = action.required or action.nargs == 0 or "(default" in words
        if told or default in (None, "", [], (), argparse.SUPPRESS):
            return words
        values = default if isinstance(default, list | tuple) else [default]
        return f"{words} (default: {' '.join(map(_typed, values))})"


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value).replace("%", "%%")


def boolean(word: str) -> bool:
    """``true`` or ``false``, as ``utils/parse_options.sh`` accepts them."""
    if word not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{word}' is neither true nor false")
    return word == "true"


def fraction(word: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{word}' is not a number from 0 to 1")
    return value
