"""Edits of many pairs of texts at once, by the same tie rule as ``edit_distance``.

rapidfuzz finds a shortest alignment in about a microsecond; what takes time is walking along it in
Python.  That is not needed.  With n and m the lengths and d the number of edits, deletions minus
insertions are n - m, and of substitutions there are d - |n - m| or fewer by twos, so that 0 or 1
are certain at once.  For the rest, the alignment is applied to n times one letter and m times
another: what is left of the first letter are the matches, and these decide all three kinds.

Words are aligned only in pairs that differ in more than one character.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import eq, itemgetter

import numpy as np
from rapidfuzz.distance import Indel, Levenshtein
from rapidfuzz.process import cpdist

from asr_dro_plugin.scoring.edit_distance import EditCounts
from asr_dro_plugin.scoring.word_symbols import word_symbols

BATCH = 1 << 17  # characters counted at a time: few enough to stay in the processor's cache


@dataclass(frozen=True)
class PairCounts:
    """Edits of N pairs: arrays (N,) of int64, ``ref`` the reference's characters or words."""

    substitutions: np.ndarray
    deletions: np.ndarray
    insertions: np.ndarray
    ref: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Edit distances (N,)."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rates(self) -> np.ndarray:
        """Errors per reference unit (N,); of an empty reference 0 without an error, else 1."""
        return np.where(self.ref > 0, self.errors / np.maximum(self.ref, 1), self.errors > 0)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The four arrays in the order of ``EditCounts``."""
        return self.substitutions, self.deletions, self.insertions, self.ref

    def of_groups(self, group_ids: np.ndarray, num_groups: int) -> list[EditCounts]:
        """Sums over the pairs of each group, 0 .. num_groups - 1."""
        sums = [np.bincount(group_ids, column, num_groups) for column in self.columns]
        return [EditCounts(*map(int, row)) for row in zip(*sums, strict=True)]

    def total(self) -> EditCounts:
        """Sums over all pairs."""
        return EditCounts(*(int(column.sum()) for column in self.columns))

    @property
    def hyp(self) -> np.ndarray:
        """Lengths of the hypotheses (N,)."""
        return self.ref - self.deletions + self.insertions

    def at(self, places: np.ndarray) -> "PairCounts":
        """The counts of some pairs, or of all in another order."""
        return PairCounts(*(column[places] for column in self.columns))

    def put(self, places: np.ndarray, other: "PairCounts") -> None:
        """Replace the counts at some places by those of others."""
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            mine[places] = theirs

    def where(self, is_mine: np.ndarray, other: "PairCounts") -> "PairCounts":
        """Pair by pair this one where ``is_mine`` (N,), else the other."""
        pairs = zip(self.columns, other.columns, strict=True)
        return PairCounts(*(np.where(is_mine, one, two) for one, two in pairs))


def count_pairs(refs: Sequence[str], hyps: Sequence[str]) -> tuple[PairCounts, PairCounts]:
    """Edits of the characters and of the words of N pairs.

    Args:
        refs, hyps: N texts each, words parted by single spaces and by no other white space.
    """
    num_ref, num_hyp = _lengths(refs), _lengths(hyps)
    chars, words = _no_edits(num_ref), _no_edits(np.zeros_like(num_ref))
    is_same = np.fromiter(map(eq, refs, hyps), bool, len(refs))
    same = np.flatnonzero(is_same)
    words.ref[same] = _word_numbers(chosen(refs, same), num_ref[same])
    for places in _batches(np.flatnonzero(~is_same), num_ref + num_hyp):
        pairs, lengths = (refs, hyps), (num_ref[places], num_hyp[places])
        found = _count(*(chosen(texts, places) for texts in pairs), *lengths)
        chars.put(places, found)
        for count, some in ((_count_words_of_one_edit, found.errors == 1),
                            (_count_words, found.errors > 1)):  # fmt: skip
            few = places[some]
            words.put(few, count(*(chosen(texts, few) for texts in pairs)))
    return chars, words


def count_strings(refs: Sequence[str], hyps: Sequence[str]) -> PairCounts:
    """Edits of the characters alone, of N pairs of any strings."""
    num_ref, num_hyp = _lengths(refs), _lengths(hyps)
    counts = _no_edits(num_ref)
    for places in _batches(np.arange(len(refs)), num_ref + num_hyp):
        pairs = chosen(refs, places), chosen(hyps, places)
        counts.put(places, _count(*pairs, num_ref[places], num_hyp[places]))
    return counts


def _count(
    refs: Sequence[str], hyps: Sequence[str], num_ref: np.ndarray, num_hyp: np.ndarray
) -> PairCounts:
    """Count pairs from their alignments."""
    edits = list(map(Levenshtein.editops, refs, hyps))
    errors = np.fromiter(map(len, edits), np.int64, len(edits))
    longer = num_ref - num_hyp
    substitutions = errors - np.abs(longer)
    unsure = np.flatnonzero(substitutions > 1)
    wrong = num_ref[unsure] - _matches(chosen(edits, unsure), num_ref[unsure], num_hyp)
    substitutions[unsure] = 2 * wrong - errors[unsure] - longer[unsure]
    return _counted(errors, substitutions, longer, num_ref)


def _count_words_of_one_edit(refs: Sequence[str], hyps: Sequence[str]) -> PairCounts:
    """Edits of the words of pairs that differ in one character.

    Either a word was changed (one edit; where it was the only letter of a text, all words of one
    side) or a space came or went: then one word stands against two, each shorter than it and hence
    another, which makes a substitution and an insertion or deletion.
    """
    num_ref, num_hyp = (_word_numbers(texts, _lengths(texts)) for texts in (refs, hyps))
    longer = num_ref - num_hyp
    is_parted = (longer != 0) & (np.minimum(num_ref, num_hyp) > 0)
    errors = 1 + is_parted
    return _counted(errors, errors - np.abs(longer), longer, num_ref)


def _count_words(refs: Sequence[str], hyps: Sequence[str]) -> PairCounts:
    """Edits of the words of pairs, each word as one symbol."""
    symbols, numbers = word_symbols([*refs, *hyps])
    half = len(refs)
    return _count_few_unsure(symbols[:half], symbols[half:], numbers[:half], numbers[half:])


def _count_few_unsure(
    refs: Sequence[str], hyps: Sequence[str], num_ref: np.ndarray, num_hyp: np.ndarray
) -> PairCounts:
    """The same counts, sooner where most errors are substitutions, as those of words are.

    A substitution is a deletion and an insertion at least in the distance that knows no
    substitutions (e), so that there are at least e - d of them: mostly that is all there can be.
    """
    distance, indel = (
        cpdist(refs, hyps, scorer=scorer, dtype=np.int64)
        for scorer in (Levenshtein.distance, Indel.distance)
    )
    longer = num_ref - num_hyp
    substitutions = distance - np.abs(longer)
    unsure = np.flatnonzero(indel - distance < substitutions)
    pairs = chosen(refs, unsure), chosen(hyps, unsure)
    slow = _count(*pairs, num_ref[unsure], num_hyp[unsure])
    substitutions[unsure] = slow.substitutions
    return _counted(distance, substitutions, longer, num_ref)


def _matches(edits: Sequence, num_ref: np.ndarray, num_hyp: np.ndarray) -> np.ndarray:
    """Reference units that each alignment leaves as they are."""
    inserted = "h" * int(num_hyp.max(initial=0))
    left = [
        found.apply("r" * length, inserted).count("r")
        for found, length in zip(edits, num_ref.tolist(), strict=True)
    ]
    return np.array(left, dtype=np.int64)


def _counted(
    errors: np.ndarray, substitutions: np.ndarray, longer: np.ndarray, num_ref: np.ndarray
) -> PairCounts:
    deletions = (errors - substitutions + longer) // 2
    return PairCounts(substitutions, deletions, errors - substitutions - deletions, num_ref)


def _batches(places: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """The places in batches of about ``BATCH`` characters, at least one pair in each."""
    ends = np.cumsum(sizes[places])
    parts = np.split(places, np.flatnonzero(np.diff(ends // BATCH)) + 1)
    return [part for part in parts if len(part)]


def chosen(items: Sequence, places: np.ndarray) -> Sequence:
    """The items at some places.

    ``itemgetter`` takes half of a comprehension's time, but gives one item alone bare.
    """
    if len(places) < 2:
        return [items[place] for place in places.tolist()]
    return itemgetter(*places.tolist())(items)


def _lengths(texts: Sequence[str]) -> np.ndarray:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _word_numbers(texts: Sequence[str], lengths: np.ndarray) -> np.ndarray:
    """Numbers of words (N,): one more than spaces, but none where there is no character."""
    spaces = np.fromiter(map(str.count, texts, repeat(" ")), np.int64, len(texts))
    return spaces + (lengths > 0)


def _no_edits(ref: np.ndarray) -> PairCounts:
    return PairCounts(np.zeros_like(ref), np.zeros_like(ref), np.zeros_like(ref), ref.copy())
