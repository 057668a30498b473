"""The steps of a text normaliser: casing, punctuation, marks, sets of characters.

Each is a pure function of the text or of one character; ``text.py`` has the normalisers that are
made of them, ``text/rules.py`` those that a YAML describes.
"""

import re
import string
import unicodedata
from collections.abc import Callable

from asr_dro_plugin.errors import UserError

# ‘ ’ ＇ are written for the apostrophe.  U+02BC is left alone: it is a letter (glottal stop).
APOSTROPHES = "\u2018\u2019\uff07"
JOINERS = "\u200c\u200d"  # shape letters in Persian and Indic scripts, so they belong to the word
# Marks that part words even where no space stands beside them; every other mark is deleted, so
# that "u.s." is one word and full-width punctuation leaves no space in scripts that have none.
_SEPARATORS = set("/\\|,;!?…،؛؟۔।॥፡።፣፤፥፦፧፨་")
DOTTED_I = {"tur", "aze", "crh"}  # i and ı are two letters: I <-> ı, İ <-> i
_LONE_JOINERS = re.compile(f"(?<![^\\s'{JOINERS}])[{JOINERS}]+")
_LONE_APOSTROPHES = re.compile(r"(?<![^\s'])'+|'{2,}|'+(?![^\s'])")
_RANGE = re.compile(r"(.)-(.)", re.DOTALL)
ASCII_MARKS = frozenset(string.punctuation)


def lower(text: str, lang: str = "") -> str:
    """Lower case; in languages with a dotless i, I is its capital."""
    if lang in DOTTED_I:
        text = text.replace("I", "ı").replace("İ", "i")
    return text.lower()


def upper(text: str, lang: str = "") -> str:
    """Upper case; in languages with a dotless i, İ is the capital of i."""
    if lang in DOTTED_I:
        text = text.replace("i", "İ").replace("ı", "I")
    return text.upper()


def without_mark(char: str) -> str:
    """What ``punctuation: all`` makes of a character: itself, a space, or nothing.

    Apostrophes and joiners stay here; ``only_inside_words`` takes those off that are in no word.
    """
    category = unicodedata.category(char)
    if char == "'" or char in JOINERS:
        return char
    if char in APOSTROPHES:
        return "'"
    if char in _SEPARATORS or category in ("Pd", "Pc", "Cc") or char.isspace():
        return " "
    return "" if category[0] in "PS" or category == "Cf" else char


def only_inside_words(text: str) -> str:
    """Apostrophes and joiners that no letter stands beside go."""
    if "\u200c" in text or "\u200d" in text:
        text = _LONE_JOINERS.sub("", text)
    return _LONE_APOSTROPHES.sub("", text) if "'" in text else text


class CharacterTable(dict):
    """``str.translate`` table that decides each character once, when it is first met.

    Args:
        decide: character -> what takes its place, itself where it stays.
    """

    def __init__(self, decide: Callable[[str], str]) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, code: int) -> int | str:
        char = chr(code)
        image = self._decide(char)
        self[code] = kept = code if image == char else image
        return kept


def without_marks(char: str, marks: frozenset[str] | None) -> str:
    """A character without some combining marks (None: all), whether composed with it or alone."""
    parts = unicodedata.normalize("NFD", char)
    kept = [p for p in parts if not (is_mark(p) if marks is None else p in marks)]
    return char if len(kept) == len(parts) else unicodedata.normalize("NFC", "".join(kept))


def is_mark(char: str) -> bool:
    """Whether a character is a combining mark."""
    return unicodedata.category(char)[0] == "M"


def character_set(written: str, where: str) -> frozenset[str]:
    """The characters of a set as ``а-я`` or ``a-z'`` write it; a hyphen at an end is itself.

    Raises:
        UserError: a range that runs backwards.
    """
    found = set(_RANGE.sub("", written))
    for first, last in _RANGE.findall(written):
        if first > last:
            raise UserError(
                f"{where}: the range {first}-{last} runs backwards. Write {last}-{first}, or the "
                "hyphen at the end of the set."
            )
        found.update(map(chr, range(ord(first), ord(last) + 1)))
    return frozenset(found)
