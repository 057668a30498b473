"""Words as single characters, so that edits of words are edits of strings.

Comparing strings is several times as fast as comparing lists of words.  Words get their characters
by numpy, all texts of a batch at once: a 64-bit hash of each word, then a code point for each hash.
Different words have different code points, unless their hashes are equal; of two given words that
can be expected once in 2**40 cases or less (rapidfuzz itself compares lists by 64-bit hashes).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

NEWLINE, SPACE = 10, 32
BASE = 0xD6E8FEB86659FD93  # odd, = 3 modulo 8: powers differ in their low bits
SLOT_BITS = 18  # the table of slots stays in the processor's cache
FIRST = 0x10000  # code points from here on are all alike: no surrogates
NUM_SPARE = 0x110000 - FIRST - (1 << SLOT_BITS)


def word_symbols(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """One string a text with one character a word; equal words of all texts are equal characters.

    Args:
        texts: words parted by spaces; no other white space.

    Returns:
        The strings and the texts' numbers of words (N,).
    """
    # " \n" ends each text, so that every word ends with a space and a lone "\n" parts the texts.
    joined = " \n".join([*texts, ""])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    ends = np.flatnonzero((codes == SPACE) | (codes == NEWLINE))
    starts = np.concatenate(([0], ends[:-1] + 1))
    points = _code_points(_hashes(codes, starts, ends))
    is_end = codes[ends] == NEWLINE
    points[is_end] = NEWLINE
    kept = (ends > starts) | is_end  # nothing stands between two spaces, nor in an empty text
    if not kept.all():
        points, is_end = points[kept], is_end[kept]
    symbols = points.astype("<u4").tobytes().decode("utf-32-le")
    return symbols.split("\n")[:-1], np.diff(np.flatnonzero(is_end), prepend=-1) - 1


def _hashes(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """64-bit hash of each word with the character behind it, which parts it from the next.

    It is the sum of code point * BASE**(1 + place in the word), modulo 2**64: from 1, that words of
    one letter differ in their highest bits too.
    """
    size = 1 << len(codes).bit_length()
    sums = codes.astype(np.uint64)
    sums *= _powers(BASE, size)[: len(codes)]
    np.cumsum(sums, out=sums)
    hashes = np.diff(sums[ends], prepend=np.uint64(0))
    hashes *= _powers(pow(BASE, -1, 2**64), size)[starts]
    hashes *= np.uint64(BASE)
    return hashes


def _code_points(hashes: np.ndarray) -> np.ndarray:
    """A code point for each hash: by its highest bits, or a spare one where those are taken.

    Sorting all hashes would do as well and takes four times as long.
    """
    slots = (hashes >> np.uint64(64 - SLOT_BITS)).astype(np.int64)
    owner = _slots()
    owner[slots] = hashes  # of several the last one stays
    without = np.flatnonzero(owner[slots] != hashes)
    slots += FIRST
    distinct, numbers = np.unique(hashes[without], return_inverse=True)
    if len(distinct) > NUM_SPARE:  # one text of a million words
        return FIRST + np.unique(hashes, return_inverse=True)[1]
    slots[without] = FIRST + (1 << SLOT_BITS) + numbers
    return slots


@lru_cache(maxsize=4)
def _powers(base: int, size: int) -> np.ndarray:
    """base**0 .. base**(size - 1) modulo 2**64."""
    factors = np.full(size, base, dtype=np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


@lru_cache(maxsize=1)
def _slots() -> np.ndarray:
    """Room for one hash a slot; what it holds at first does not matter."""
    return np.zeros(1 << SLOT_BITS, dtype=np.uint64)
