"""Types of command-line values that argparse lacks, in the shell recipe's words."""

import argparse


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
