"""From transcripts to the texts that are compared: tag off, normalised, spaces where they count.

Normalising takes longer than counting edits, so texts that no normaliser would change are found by
numpy and left alone: texts of characters that the normaliser keeps wherever they stand, in NFC,
with single spaces.  Transcripts of a recipe are normalised already: nearly all are of that kind.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.text import Normalizer

TAG = re.compile(r"\[[a-z]{3}\]")
UNKNOWN = re.compile(r"<unk>|⁇")
UNKNOWN_SYMBOL = "\ue000"  # private use: no transcript holds it and no normaliser removes it
BLOCK = 10_000  # texts looked at together
NEWLINE, SPACE = 10, 32
UNSEEN, KEPT, CHANGED = 0, 1, 2


def normalized(text: str, lang: str, normalize: Normalizer) -> str:
    """The text that is compared: no tag anywhere, normalised, single spaces between words.

    A tag inside the text is a fault of language identification alone, so it costs no characters.
    """
    return " ".join(normalize(TAG.sub(" ", text), lang).split())


def part_tag(text: str) -> tuple[str | None, str]:
    """Leading language tag, or None, and the text without any tag."""
    if "[" not in text:
        return None, text
    tag = TAG.match(text)
    return (tag[0][1:4] if tag else None), TAG.sub(" ", text)


def mark_unknown(text: str) -> str:
    """Every unknown symbol of a recogniser as one character that equals no other."""
    return UNKNOWN.sub(UNKNOWN_SYMBOL, text) if "<" in text or "⁇" in text else text


def normalize_all(texts: Sequence[str], lang: str, normalize: Normalizer) -> list[str]:
    """``normalized`` of many texts of one language."""
    kinds = np.zeros(0x110000, dtype=np.uint8)  # of each code point
    done: list[str] = []
    for begin in range(0, len(texts), BLOCK):
        block = list(texts[begin : begin + BLOCK])
        for place in _not_as_it_should_be(block, lang, normalize, kinds):
            block[place] = normalized(block[place], lang, normalize)
        done += block
    return done


def _not_as_it_should_be(
    texts: Sequence[str], lang: str, normalize: Normalizer, kinds: np.ndarray
) -> list[int]:
    """Numbers of texts that normalising may change."""
    joined = "\n".join([*texts, ""])
    if joined.count("\n") != len(texts):
        return list(range(len(texts)))
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    _learn(codes, lang, normalize, kinds)
    is_end = codes == NEWLINE
    is_gap = is_end | (codes == SPACE)
    wrong = (kinds[codes] == CHANGED) & ~is_gap
    at_edge = is_gap.copy()  # a space after or before another gap, or at the very beginning
    at_edge[1:-1] &= is_gap[:-2] | is_gap[2:]
    wrong |= at_edge & ~is_end
    found = np.add.reduceat(
        wrong, np.concatenate(([0], np.flatnonzero(is_end)[:-1] + 1)), dtype=int
    )
    places = set(np.flatnonzero(found).tolist())
    if not unicodedata.is_normalized("NFC", joined):
        is_nfc = unicodedata.is_normalized
        places |= {place for place, text in enumerate(texts) if not is_nfc("NFC", text)}
    return sorted(places)


def _learn(codes: np.ndarray, lang: str, normalize: Normalizer, kinds: np.ndarray) -> None:
    """Ask the normaliser about characters not met before: alone and at each place in a word."""
    unseen = np.bincount(codes[kinds[codes] == UNSEEN])
    for code in np.flatnonzero(unseen).tolist():
        char = chr(code)
        probe = f"{char} x{char} {char}x x{char}x"
        kinds[code] = KEPT if normalize(probe, lang) == probe else CHANGED
