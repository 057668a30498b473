"""Text normalisation and the language tag, the same for preparation, training and scoring.

A normaliser is a pure function ``(text, lang) -> text``, idempotent, chosen by name from
``NORMALIZERS``.  What a CER was counted on is said by that name.
"""

import re
import unicodedata
from collections.abc import Callable

from asr_dro_plugin.errors import UserError, suggestion

# ‘ ’ ＇ are written for the apostrophe.  U+02BC is left alone: it is a letter (glottal stop).
_APOSTROPHES = "\u2018\u2019\uff07"
_JOINERS = "\u200c\u200d"  # shape letters in Persian and Indic scripts, so they belong to the word
# Marks that part words even where no space stands beside them; every other mark is deleted, so
# that "u.s." is one word and full-width punctuation leaves no space in scripts that have none.
_SEPARATORS = set("/\\|,;!?…،؛؟۔।॥፡።፣፤፥፦፧፨་")
_DOTTED_I = {"tur", "aze", "crh"}  # i and ı are two letters: I <-> ı, İ <-> i
_LONE_JOINERS = re.compile(f"(?<![^\\s'{_JOINERS}])[{_JOINERS}]+")
_LONE_APOSTROPHES = re.compile(r"(?<![^\s'])'+|'{2,}|'+(?![^\s'])")
_TAG = re.compile(r"\[([a-z]{3})\](?: +|$)")


class _PunctuationTable(dict):
    """``str.translate`` table that decides each character once, when it is first met."""

    def __missing__(self, code: int) -> int | str | None:
        char = chr(code)
        category = unicodedata.category(char)
        if char == "'" or char in _JOINERS:
            kept = code
        elif char in _SEPARATORS or category in ("Pd", "Pc", "Cc") or char.isspace():
            kept = " "
        elif category[0] in "PS" or category == "Cf":
            kept = None
        else:
            kept = code
        self[code] = kept
        return kept


_PUNCTUATION = _PunctuationTable()


def _without_punctuation(text: str) -> str:
    for written in _APOSTROPHES:  # a table for translate() asks for every other character too
        text = text.replace(written, "'")
    text = text.translate(_PUNCTUATION)
    if "\u200c" in text or "\u200d" in text:
        text = _LONE_JOINERS.sub("", text)
    if "'" in text:
        text = _LONE_APOSTROPHES.sub("", text)
    # a mark between letter and accent is gone now, so the two may compose
    return unicodedata.normalize("NFC", " ".join(text.split()))


def none(text: str, lang: str = "") -> str:
    """The text as it is, but for the white space at its ends and runs of it inside."""
    return " ".join(text.split())


def nfc(text: str, lang: str = "") -> str:
    """Unicode's composed form (NFC), white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def lower_no_punct(text: str, lang: str = "") -> str:
    """NFC, lower case, no punctuation and no symbols, single spaces.

    An apostrophe inside a word stays (``don't``, ``l'eau``); hyphens, dashes, slashes, underscores
    and clause marks become a space; other marks vanish.  Combining marks are never touched.
    """
    text = unicodedata.normalize("NFC", text)
    if lang in _DOTTED_I:
        text = text.replace("I", "ı").replace("İ", "i")
    return _without_punctuation(text.lower())


def upper_no_punct(text: str, lang: str = "") -> str:
    """As ``lower_no_punct``, in upper case (what the published ML-SUPERB recipes train on)."""
    text = unicodedata.normalize("NFC", text)
    if lang in _DOTTED_I:
        text = text.replace("i", "İ").replace("ı", "I")
    return _without_punctuation(text.upper())


Normalizer = Callable[[str, str], str]
NORMALIZERS: dict[str, Normalizer] = {
    "none": none,
    "nfc": nfc,
    "lower_no_punct": lower_no_punct,
    "upper_no_punct": upper_no_punct,
}


def get_normalizer(name: str) -> Normalizer:
    """The normaliser called ``name``; another name is an error that lists the known ones."""
    if name not in NORMALIZERS:
        raise UserError(
            f"--text_norm {name} is not known.{suggestion(name, NORMALIZERS)} "
            f"Known: {' '.join(NORMALIZERS)}."
        )
    return NORMALIZERS[name]


def split_tag(text: str) -> tuple[str | None, str]:
    """Part a language tag from the text: ``"[eng] hello"`` -> ``("eng", "hello")``.

    Only three lower-case letters in brackets at the very start are a tag; without one the first
    item is None and the text is returned whole.
    """
    match = _TAG.match(text)
    return (match[1], text[match.end() :]) if match else (None, text)


def add_tag(lang: str, text: str) -> str:
    """``("eng", "hello")`` -> ``"[eng] hello"``; an empty text gives the tag alone."""
    return f"[{lang}] {text}".rstrip(" ")
