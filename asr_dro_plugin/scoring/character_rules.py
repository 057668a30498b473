"""What a normaliser does with each character, asked once, so that numpy can do it with many texts.

Normalisers look at characters one by one, apart from what stands beside an apostrophe or a joiner,
from composition (NFC) and from a few letters.  A character is tried alone and at each place in a
word; what is not the same everywhere is left to the normaliser itself.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.text.normalizers import Normalizer

# INSIDE: stays between two others that stay.  REPLACED: another character or none takes its place
# wherever it stands.  ALONE: only the normaliser itself can tell.
UNSEEN, KEPT, INSIDE, REPLACED, ALONE, GAP, END = range(7)
NUM_CODES = 0x110000
NOTHING = NUM_CODES  # no code point
LETTERS = "xXаАαΑبאक你ქա가あกব"  # one that a normaliser keeps is put around what it is asked of
TAG_BEGIN = ord("[")  # texts with a tag inside are for the normaliser


class CharacterRules:
    """What one normaliser does with the characters of one language.

    Args:
        normalize, lang: the normaliser and its language.
    """

    def __init__(self, normalize: Normalizer, lang: str) -> None:
        self._normalize, self._lang = normalize, lang
        self._letter = _letter_kept(normalize, lang)
        self._kinds = np.zeros(NUM_CODES, dtype=np.uint8)
        self._becomes = np.zeros(NUM_CODES, dtype="<u4")
        known = [ord(" "), ord("\n"), TAG_BEGIN]
        self._kinds[known], self._becomes[known] = (GAP, END, ALONE), known

    def to_mend(self, texts: Sequence[str]) -> list[int]:
        """Numbers of texts that normalising may change.

        The others hold only characters that stay where they stand, in NFC, with single spaces.
        """
        joined = "\n".join([*texts, ""])
        if joined.count("\n") != len(texts):
            return list(range(len(texts)))
        kind = self._kinds_of(_codes(joined))
        is_gap = kind >= GAP
        wrong = (kind == REPLACED) | (kind == ALONE)
        wrong |= (kind == GAP) & _beside(is_gap)
        is_inside = kind == INSIDE
        if is_inside.any():
            wrong |= is_inside & _beside(is_gap | is_inside)
        places = set()
        if wrong.any():
            ends = np.flatnonzero(kind == END)
            places.update(np.searchsorted(ends, np.flatnonzero(wrong)).tolist())
        return sorted(places.union(_decomposed(texts, joined)))

    def mend(self, texts: Sequence[str]) -> list[str | None]:
        """The texts normalised, but None where the normaliser itself must do it."""
        joined = "\n".join([*texts, ""])
        if joined.count("\n") != len(texts):
            return [None] * len(texts)
        mended: list[str | None] = self._replaced(_codes(joined)).split("\n")[:-1]
        for number in {*self.to_mend(mended), *_decomposed(texts, joined)}:
            mended[number] = None
        return mended

    def _replaced(self, codes: np.ndarray) -> str:
        """The text with every character replaced, and single spaces inside its lines."""
        self._kinds_of(codes)
        codes = self._becomes.take(codes)
        codes = codes[codes != NOTHING]
        is_space = codes == ord(" ")
        is_gap = is_space | (codes == ord("\n"))
        before_gap = np.append(is_gap[1:], True)
        codes = codes[~(is_space & before_gap)]  # of several spaces the last one stays
        after_end = np.append(True, codes[:-1] == ord("\n"))
        codes = codes[~((codes == ord(" ")) & after_end)]
        return codes.tobytes().decode("utf-32-le", "surrogatepass")

    def _kinds_of(self, codes: np.ndarray) -> np.ndarray:
        kind = self._kinds.take(codes)
        if not kind.all():
            for code in np.flatnonzero(np.bincount(codes[kind == UNSEEN])).tolist():
                self._learn(code)
            kind = self._kinds.take(codes)
        return kind

    def _learn(self, code: int) -> None:
        char = chr(code)
        kind, self._becomes[code] = self._kind(char), code
        if kind == ALONE:
            other = self._replacement(char)
            if other is not None:
                kind, self._becomes[code] = REPLACED, ord(other) if other else NOTHING
        self._kinds[code] = kind

    def _kind(self, char: str) -> int:
        if not self._letter:
            return ALONE
        if self._asked(_everywhere(self._letter, char)) == _everywhere(self._letter, char):
            return KEPT
        inside = f"{self._letter}{char}{self._letter}"
        return INSIDE if self._asked(inside) == inside else ALONE

    def _replacement(self, char: str) -> str | None:
        """What takes the character's place everywhere: a space, nothing, or one that stays."""
        letter = self._letter
        if not letter:
            return None
        inside = self._asked(f"{letter}{char}{letter}")
        other = inside[1:-1]
        if inside != f"{letter}{other}{letter}" or len(other) > 1:
            return None
        if other not in ("", " ") and self._kind(other) == ALONE:
            return None
        is_same = self._asked(_everywhere(letter, char)) == self._asked(_everywhere(letter, other))
        return other if is_same else None

    def _asked(self, text: str) -> str:
        return self._normalize(text, self._lang)


def _letter_kept(normalize: Normalizer, lang: str) -> str:
    """A letter that stays what it is, of whichever script; empty where none of these does."""
    return next((letter for letter in LETTERS if normalize(letter, lang) == letter), "")


def _everywhere(letter: str, char: str) -> str:
    """The character alone, and at the end, the beginning and in the middle of a word."""
    return f"{char} {letter}{char} {char}{letter} {letter}{char}{letter}"


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _decomposed(texts: Sequence[str], joined: str) -> list[int]:
    """Numbers of the texts that are not in NFC, of which there are none mostly."""
    is_nfc = unicodedata.is_normalized
    if is_nfc("NFC", joined):
        return []
    return [number for number, text in enumerate(texts) if not is_nfc("NFC", text)]


def _beside(marked: np.ndarray) -> np.ndarray:
    """Places (N,) with a marked one on either side; the first and the last are at an edge."""
    beside = np.ones_like(marked)
    beside[1:-1] = marked[:-2] | marked[2:]
    return beside
