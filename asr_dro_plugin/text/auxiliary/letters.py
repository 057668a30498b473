"""What a text keeps where no tool reads it: its letters, each with its marks."""

import unicodedata
from collections.abc import Iterator

from asr_dro_plugin.text.steps import JOINERS


def letters_of(text: str) -> list[str]:
    """Letters and digits of a text in NFC, with the marks behind them; spaces and the rest go.

    A letter with its marks is what Unicode calls a grapheme cluster (UAX 29), but for the longer
    ones of some Indic scripts.
    """
    units: list[str] = []
    for char, category in _categories(text):
        if category[0] == "M" and units:
            units[-1] += char
        elif category[0] in "LN":
            units.append(char)
    return units


def _categories(text: str) -> Iterator[tuple[str, str]]:
    for char in unicodedata.normalize("NFC", text):
        if char not in JOINERS:
            yield char, unicodedata.category(char)
