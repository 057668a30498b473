"""From transcripts to the texts that are compared: tag off, normalised, spaces where they count.

Normalising takes longer than counting edits, so texts that no normaliser would change are found by
numpy and left alone: texts of characters that the normaliser keeps where they stand, in NFC, with
single spaces.  Transcripts of a recipe are normalised already: nearly all are of that kind.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.text import Normalizer

TAG = re.compile(r"\[[a-z]{3}\]")
UNKNOWN = re.compile(r"<unk>|⁇")
UNKNOWN_SYMBOL = "\ue000"  # private use: no transcript holds it and no normaliser removes it
BLOCK = 4_000  # texts looked at together
BY_LANGUAGE = "I İ i ı"  # letters of which Unicode has other cases for Turkish and Azerbaijani
# What a normaliser does with a character; INSIDE: keeps it between two others that it keeps.
UNSEEN, KEPT, INSIDE, CHANGED, GAP, END = range(6)


def normalized(text: str, lang: str, normalize: Normalizer) -> str:
    """The text that is compared: no tag anywhere, normalised, single spaces between words.

    A tag inside the text is a fault of language identification alone, so it costs no characters.
    """
    return " ".join(normalize(TAG.sub(" ", text), lang).split())


def part_tag(text: str) -> tuple[str | None, str]:
    """Leading language tag, or None, and the text without any tag."""
    if "[" not in text:
        return None, text
    found = TAG.match(text)
    tag, rest = (text[1:4], text[5:]) if found else (None, text)
    return tag, (TAG.sub(" ", rest) if "[" in rest else rest).strip(" ")


def mark_unknown(text: str) -> str:
    """Every unknown symbol of a recogniser as one character that equals no other."""
    return UNKNOWN.sub(UNKNOWN_SYMBOL, text) if "<" in text or "⁇" in text else text


def normalize_all(texts: Sequence[str], langs: Sequence[str], normalize: Normalizer) -> list[str]:
    """``normalized`` of N texts, each in its language."""
    alike: dict[str, str] = {}  # language -> what its normaliser makes of the letters
    for lang in set(langs):
        alike[lang] = normalize(BY_LANGUAGE, lang)
    done = list(texts)
    for kind in set(alike.values()):
        kinds = np.zeros(0x110000, dtype=np.uint8)  # of each code point
        here = [place for place, lang in enumerate(langs) if alike[lang] == kind]
        for begin in range(0, len(here), BLOCK):
            places = here[begin : begin + BLOCK]
            some = [texts[place] for place in places]
            for number in _not_as_it_should_be(some, langs[places[0]], normalize, kinds):
                place = places[number]
                done[place] = normalized(texts[place], langs[place], normalize)
    return done


def _not_as_it_should_be(
    texts: Sequence[str], lang: str, normalize: Normalizer, kinds: np.ndarray
) -> list[int]:
    """Numbers of texts that normalising may change."""
    joined = "\n".join([*texts, ""])
    if joined.count("\n") != len(texts):
        return list(range(len(texts)))
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    kind = kinds[codes]
    if not kind.all():
        _learn(codes[kind == UNSEEN], lang, normalize, kinds)
        kind = kinds[codes]
    is_gap = kind >= GAP
    wrong = kind == CHANGED
    wrong |= (kind == GAP) & _beside(is_gap)
    is_inside = kind == INSIDE
    if is_inside.any():
        wrong |= is_inside & _beside(is_gap | is_inside)
    ends = np.flatnonzero(kind == END)
    places = set(np.searchsorted(ends, np.flatnonzero(wrong)).tolist())
    if not unicodedata.is_normalized("NFC", joined):
        is_nfc = unicodedata.is_normalized
        places |= {place for place, text in enumerate(texts) if not is_nfc("NFC", text)}
    return sorted(places)


def _learn(codes: np.ndarray, lang: str, normalize: Normalizer, kinds: np.ndarray) -> None:
    """Ask the normaliser about characters not met before: alone and at each place in a word."""
    kinds[[ord(" "), ord("\n")]] = GAP, END
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        char = chr(code)
        probe = f"{char} x{char} {char}x x{char}x"
        if char in " \n":
            continue
        if normalize(probe, lang) == probe:
            kinds[code] = KEPT
        else:
            kinds[code] = INSIDE if normalize(f"x{char}x", lang) == f"x{char}x" else CHANGED


def _beside(marked: np.ndarray) -> np.ndarray:
    """Places (N,) with a marked one on either side; the first and the last are at an edge."""
    beside = np.ones_like(marked)
    beside[1:-1] = marked[:-2] | marked[2:]
    return beside
