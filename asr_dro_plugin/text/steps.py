"""The steps of a text normaliser: casing, punctuation, marks, sets of characters.

Each is a pure function of the text or of one character; ``text.py`` has the normalisers that are
made of them, ``text/rules.py`` those that a YAML describes.
"""

import functools
import re
import string
import unicodedata
from collections.abc import Callable, Collection

from asr_dro_plugin.errors import UserError

# ‘ ’ ＇ are written for the apostrophe.  U+02BC is left alone: it is a letter (glottal stop).
APOSTROPHES = "\u2018\u2019\uff07"
# Typed where the keyboard has no apostrophe: one between letters, elsewhere a mark (`code`, 6′).
TYPED_APOSTROPHES = "`´′‛\uff40"
JOINERS = "\u200c\u200d"  # shape letters in Persian and Indic scripts, so they belong to the word
# Marks that part words even where no space stands beside them; every other mark is deleted, so
# that "u.s." is one word and full-width punctuation leaves no space in scripts that have none.
_SEPARATORS = set("/\\|,;!?…،؛؟۔।॥፡።፣፤፥፦፧፨་")
# i and ı are two letters (I <-> ı, İ <-> i); every code of a language, its members' too.
DOTTED_I = frozenset({"tur", "aze", "azj", "azb", "crh", "gag"})
# Default_Ignorable_Code_Point of Unicode (DerivedCoreProperties.txt), but for the joiners.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BY_NEIGHBOURS = re.compile(f"[{TYPED_APOSTROPHES}{JOINERS}]")
_LONE_JOINERS = re.compile(f"(?<![^\\s'{JOINERS}])[{JOINERS}]+")
_LONE_APOSTROPHES = re.compile(r"(?<![^\s'])'+|'{2,}|'+(?![^\s'])")
_RANGE = re.compile(r"(.)-(.)", re.DOTALL)
ASCII_MARKS = frozenset(string.punctuation)


def lower(text: str, lang: str = "") -> str:
    """Lower case; in languages with a dotless i, I is its capital.

    İ is the capital of i everywhere: Unicode's own image of it leaves a dot that is no letter's.
    """
    text = text.replace("I\u0307", "i").replace("İ", "i")
    return (text.replace("I", "ı") if lang in DOTTED_I else text).lower()


def upper(text: str, lang: str = "") -> str:
    """Upper case; in languages with a dotless i, İ is the capital of i.

    Greek letters whose capitals Unicode can only write with loose accents (ΐ) lose these, as Greek
    capitals do.
    """
    text = text.translate(_GREEK_CAPITALS)
    if lang in DOTTED_I:
        text = text.replace("i", "İ").replace("ı", "I")
    return text.upper()


def _greek_capitals() -> dict[int, str]:
    """Small letter -> its capital without the accents that do not compose with it."""
    found = {}
    for code in (*range(0x390, 0x3D0), *range(0x1F00, 0x2000)):
        whole = unicodedata.normalize("NFC", chr(code).upper())
        kept = "".join(char for char in whole if not is_mark(char))
        if kept != whole and not unicodedata.combining(chr(code)):
            found[code] = kept
    return found


def without_mark(char: str) -> str:
    """What ``punctuation: all`` makes of a character: itself, a space, or nothing.

    Apostrophes and joiners stay here; ``only_inside_words`` takes those off that are in no word.
    What nobody sees goes (variation selectors, fillers), and so does what encloses (keycaps).
    """
    category = unicodedata.category(char)
    if char == "'" or char in JOINERS:
        return char
    if char in APOSTROPHES:
        return "'"
    if char in _SEPARATORS or category in ("Pd", "Pc", "Cc") or char.isspace():
        return " "
    is_no_letter = category[0] in "PS" or category in ("Cf", "Me") or is_invisible(char)
    return "" if is_no_letter else char


def by_neighbours(text: str, named: Collection[str] = ()) -> str:
    """What only its neighbours tell, before they go: ` between letters becomes an apostrophe.

    A joiner that no letter stands before goes: it holds the parts of an emoji together.

    Args:
        text: before punctuation is taken off.
        named: characters to leave alone.
    """

    def settled(match: re.Match) -> str:
        char, place = match[0], match.start()
        if char in named:
            return char
        after, first = text[place + 1 : place + 2], place
        while text[first - 1 : first] and text[first - 1] in JOINERS:
            first -= 1
        before = text[first - 1 : first]
        if char in JOINERS:
            return char if _is_letter(before) or before.isdigit() or before == "'" else ""
        return "'" if _is_letter(before) and _is_letter(after) else char

    return _BY_NEIGHBOURS.sub(settled, text)


def _is_letter(char: str) -> bool:
    """Whether a character (or none) is a letter or its mark, and seen."""
    return bool(char) and (char.isalpha() or is_mark(char)) and not is_invisible(char)


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


def is_invisible(char: str) -> bool:
    """Whether a character is invisible by design, as a filler is; joiners shape letters."""
    return _INVISIBLE.match(char) is not None


def composed(text: str, form: str) -> str:
    """The text in a normal form of Unicode.

    NFKC leaves spacing accents (´ ¨) as they are: it would make a space and a loose mark of them.
    """
    if form != "NFKC" or text.isascii():
        return unicodedata.normalize(form, text)
    parts = _spacing_accents().split(text)
    return "".join(
        part if number % 2 else unicodedata.normalize(form, part)
        for number, part in enumerate(parts)
    )


@functools.cache
def _spacing_accents() -> re.Pattern:
    """Characters that NFKC parts into a space and marks; all are in the basic plane."""
    images = {char: unicodedata.normalize("NFKC", char) for char in map(chr, range(0x10000))}
    spacing = [char for char, image in images.items() if image[0] == " " and len(image) > 1]
    return re.compile(f"([{''.join(spacing)}])")


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


_GREEK_CAPITALS = _greek_capitals()
