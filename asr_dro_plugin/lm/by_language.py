"""Which languages get weights of their own: those for which held-out text says that it is better.

A dev set of some minutes a language is soon overfitted by a search over dozens of weights, so a
language keeps the joint weights unless it has

1. enough text: 1,000 characters of references in 20 utterances.  Two weights differ in about one
   character of twenty, so that the standard error of the difference of two error rates is
   sqrt(.05 / 1000) = .7 points at that size; what weights are worth is a point or two;
2. a gain that holds: its utterances are dealt to ten folds, each fold is decoded with the weights
   that are best on the nine others, and the errors saved against the joint weights must be more
   than their standard error over the folds (the rule of Breiman et al. 1984, section 3.4.3, the
   simpler model unless the other is surely better).

What is chosen then is the best of all its utterances.  Which points were looked at depends on the
folds held out too, by the steps between points of a grid; the joint weights, chosen on all of the
set, have that advantage as well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FOLDS = 10
MIN_CHARS, MIN_UTTS = 1000, 20

Point = tuple[float, float, float]  # alpha, beta, blank penalty


@dataclass(frozen=True)
class FoldCounts:
    """What decoding with some weights made of one language, each value by fold (FOLDS,).

    The language is the decided one, for that decides on the weights.
    """

    utts: np.ndarray
    cer_errors: np.ndarray
    cer_ref: np.ndarray
    wer_errors: np.ndarray
    wer_ref: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "FoldCounts":
        """Utterances (N, 4) in a fixed order, columns as here, dealt to the folds in turn."""
        folds = np.arange(len(rows)) % FOLDS
        sums = [np.bincount(folds, column, FOLDS).astype(int) for column in rows.T]
        return cls(np.bincount(folds, minlength=FOLDS), *sums)

    @classmethod
    def read(cls, words: str) -> "FoldCounts":
        """From ``str`` of one.

        Raises:
            ValueError: it is none.
        """
        table = np.array([[int(word) for word in row.split()] for row in words.split(",")])
        if table.shape != (FOLDS, 5):
            raise ValueError(f"{table.shape}")
        return cls(*table.T)

    def __str__(self) -> str:
        columns = [getattr(self, name).tolist() for name in self.__dataclass_fields__]
        return ", ".join(" ".join(map(str, row)) for row in zip(*columns, strict=True))

    def errors(self, metric: str) -> np.ndarray:
        """Errors by fold; ``metric`` is cer or wer."""
        return getattr(self, f"{metric}_errors")

    def rate(self, metric: str) -> float:
        """Errors per unit of the references, over all folds."""
        return _rate(self.errors(metric).sum(), getattr(self, f"{metric}_ref").sum())


@dataclass(frozen=True)
class Choice:
    """The weights of one language, and what they rest on.

    Args:
        point: its own weights, or the joint ones.
        joint, own, held_out: error rates (0..1) with the joint weights, with the best of all, and
            with those chosen without the utterances they are measured on.
        has_evidence: whether there is enough text to look for weights of its own.
        reason: why the joint weights are kept; empty where they are not.
    """

    lang: str
    num_utts: int
    num_chars: int
    point: Point
    joint: float
    own: float
    held_out: float
    has_evidence: bool
    reason: str = ""


def choose(
    lang: str,
    counts: Mapping[Point, FoldCounts],
    joint: Point,
    metric: str = "cer",
    min_chars: int = MIN_CHARS,
    min_utts: int = MIN_UTTS,
) -> Choice:
    """Weights for one language.

    Args:
        counts: of the same utterances for every point that was tried, ``joint`` among them.
        metric: what is made small, cer or wer.
        min_chars, min_utts: the floor of evidence.
    """
    points = by_nearness(counts, joint)
    there = counts[joint]
    num_utts, num_chars = int(there.utts.sum()), int(there.cer_ref.sum())
    errors = np.array([counts[point].errors(metric) for point in points])  # (P, FOLDS)
    best = points[int(errors.sum(1).argmin())]  # of equals the nearest
    without = (errors.sum(1, keepdims=True) - errors).argmin(0)
    saved = errors[0] - errors[without, np.arange(FOLDS)]
    held_out = _rate((errors[0] - saved).sum(), getattr(there, f"{metric}_ref").sum())
    little = _too_little(num_chars, min_chars, "characters")
    little = little or _too_little(num_utts, min_utts, "utterances")
    reason = little or ("they are the best" if best == joint else "")
    if not reason and saved.sum() <= math.sqrt(FOLDS) * saved.std(ddof=1):
        reason = "the gain does not hold on held-out utterances"
    rates = there.rate(metric), counts[best].rate(metric), held_out
    point = joint if reason else best
    return Choice(lang, num_utts, num_chars, point, *rates, not little, reason)


def by_nearness(points: Mapping[Point, object], joint: Point) -> Sequence[Point]:
    """The points, nearest to the joint weights first."""
    return sorted(points, key=lambda point: (math.dist(point, joint), point))


def _too_little(there: int, least: int, what: str) -> str:
    return f"{there:,} {what} are fewer than {least:,}" if there < least else ""


def _rate(errors: float, ref: float) -> float:
    return float(errors) / float(ref) if ref else float(errors > 0)
