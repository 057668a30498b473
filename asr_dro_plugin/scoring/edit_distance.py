"""Substitutions, deletions and insertions between two sequences, or many pairs of them.

The number of errors is the Levenshtein distance.  How it divides into the three kinds is ambiguous
("ab" against "bc": two substitutions, or a deletion and an insertion), so the tie rule is named:
rapidfuzz's, which jiwer uses too.  Common beginnings and ends are set aside; then, from the end
backwards, of the steps that lie on a shortest alignment the first of these is taken: deletion,
substitution, insertion, match.  (Where the lengths' product exceeds some millions, rapidfuzz
divides the problem first, and the division may differ; the distance does not.)
"""

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass
from operator import add

import numpy as np
from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True)
class EditCounts:
    """Errors against ``ref`` reference units (characters or words); counts add up."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    ref: int = 0

    def __add__(self, other: "EditCounts") -> "EditCounts":
        return EditCounts(*map(add, astuple(self), astuple(other)))

    @property
    def errors(self) -> int:
        """The edit distance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference unit; above 1 where many were inserted.

        Of an empty reference: 0 when nothing was recognised, else 1.
        """
        return self.share(self.errors)

    def share(self, count: int) -> float:
        """``count`` per reference unit, with the same rule for an empty reference."""
        if self.ref:
            return count / self.ref
        return 1.0 if count else 0.0


def count_edits(ref: Sequence[Hashable], hyp: Sequence[Hashable]) -> EditCounts:
    """Edits that turn ``ref`` into ``hyp``: of strings by code point, of lists by item."""
    if not isinstance(ref, str) or not isinstance(hyp, str):
        ref, hyp = _numbered(ref, hyp)
    kinds = [edit.tag for edit in Levenshtein.editops(ref, hyp)]
    return EditCounts(
        substitutions=kinds.count("replace"),
        deletions=kinds.count("delete"),
        insertions=kinds.count("insert"),
        ref=len(ref),
    )


def _numbered(*sequences: Sequence[Hashable]) -> list[list[int]]:
    """The sequences with each distinct item as a number: rapidfuzz compares hashes, not items."""
    numbers: dict[Hashable, int] = {}
    return [[numbers.setdefault(item, len(numbers)) for item in seq] for seq in sequences]


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

    def where(self, is_mine: np.ndarray, other: "PairCounts") -> "PairCounts":
        """Pair by pair this one where ``is_mine`` (N,), else the other."""
        pairs = zip(self.columns, other.columns, strict=True)
        return PairCounts(*(np.where(is_mine, one, two) for one, two in pairs))


def count_pairs(refs: Sequence[Sequence], hyps: Sequence[Sequence]) -> PairCounts:
    """Edits of N pairs, of strings by character, of lists by word, one after the other.

    20,000 pairs of ten words take a fifth of a second.
    """
    counts = [count_edits(ref, hyp) for ref, hyp in zip(refs, hyps, strict=True)]
    rows = [(each.substitutions, each.deletions, each.insertions, each.ref) for each in counts]
    return PairCounts(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)
