"""Substitutions, deletions and insertions between two sequences.

The number of errors is the Levenshtein distance.  How it divides into the three kinds is ambiguous
("ab" against "bc": two substitutions, or a deletion and an insertion), so the tie rule is named:
rapidfuzz's, which jiwer uses too.  Common beginnings and ends are set aside; then, from the end
backwards, of the steps that lie on a shortest alignment the first of these is taken: deletion,
substitution, insertion, match.  (Where the lengths' product exceeds some millions, rapidfuzz
divides the problem first, and the division may differ; the distance does not.)
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True)
class EditCounts:
    """Errors against ``ref`` reference units (characters or words); counts add up."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    ref: int = 0

    def __add__(self, other: "EditCounts") -> "EditCounts":
        return EditCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.ref + other.ref,
        )

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
