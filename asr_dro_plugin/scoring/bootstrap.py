"""How sure an error rate is, and whether two of them differ: resampling.

What is drawn again is the *unit*: an utterance, or all utterances of a speaker or recording, for
those err alike and are no independent evidence (Bisani and Ney 2004, "Bootstrap estimates for
confidence intervals in ASR performance evaluation").  A rate is errors over reference units (words,
characters) of everything drawn, so long utterances weigh more, as in the corpus rate.

Shapes: N utterances, U units, G groups, K figures a unit, S samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SAMPLES, SEED, LEVEL = 1000, 0, 0.95
ALPHA = 0.05  # of a paired test
NORMAL_95 = 1.959964  # 97.5 % quantile of the normal distribution
MIN_UNITS = 5  # fewer speakers or recordings say nothing of their spread
BLOCK = 1 << 20  # draws held in memory at once (8 MB an array of them)


@dataclass(frozen=True)
class Difference:
    """Rate of the second minus rate of the first, 0..1: negative is better than the first.

    ``low`` to ``high`` is its 95 % interval, None where there is one unit only; ``p_value`` is how
    often chance makes such a difference, of this group alone; ``p_holm`` is corrected for the
    number of groups (None of micro and macro), and decides.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float
    p_holm: float | None = None

    @property
    def significant(self) -> bool:
        """Whether chance would hardly make such a difference."""
        return (self.p_value if self.p_holm is None else self.p_holm) < ALPHA


class PairedGroups(NamedTuple):
    """Differences of each of G groups, of all text pooled, and of the mean over groups."""

    groups: tuple[Difference, ...]
    micro: Difference
    macro: Difference


def paired_test(
    errors_a: Sequence[float],
    errors_b: Sequence[float],
    refs: Sequence[float],
    units: Sequence | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Difference:
    """Compare two hypotheses of the same references.

    The interval is a bootstrap of the difference; the p value is two-sided, of the test that swaps
    a and b unit by unit (approximate randomisation, Noreen 1989), (1 + as large) / (1 + samples).

    Args:
        errors_a, errors_b: (N,) errors of each utterance under a and under b.
        refs: (N,) its reference units.
        units: (N,) its speaker or recording, of any hashable kind; None: each for itself.
        samples: times that all units are drawn anew, with replacement.
        seed: the same seed gives the same interval.
    """
    groups = np.zeros(len(refs), int)
    return paired_groups(errors_a, errors_b, refs, groups, units, samples, seed).micro


def paired_groups(
    errors_a: Sequence[float],
    errors_b: Sequence[float],
    refs: Sequence[float],
    groups: Sequence[int],
    units: Sequence | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> PairedGroups:
    """The paired test of every group, of all text pooled (micro) and of the groups' mean (macro).

    Args:
        groups: (N,) group of each utterance, 0 .. G-1, each with an utterance.
    """
    groups = np.asarray(groups)
    table = _columns(errors_a, errors_b, refs)
    drawn_SGK = resampled_groups(table, groups, units, samples, seed)
    drawn_SG = _differences(drawn_SGK)
    sums_GK, flips, alone = [], [], []
    for group in range(drawn_SGK.shape[1]):
        inside = groups == group
        own = _of(units, inside)
        sums_GK.append(table[inside].sum(axis=0))
        flips.append(_flipped(unit_sums(table[inside], own), samples, [seed, group, 1]))
        alone.append(_num_units(own, int(inside.sum())) < 2)
    found_G = _differences(np.array(sums_GK))
    shares = [flip / max(sums[2], 1) for flip, sums in zip(flips, sums_GK, strict=True)]
    total = table.sum(axis=0)
    certain = all(alone)
    return PairedGroups(
        tuple(map(_result, found_G, drawn_SG.T, shares, alone)),
        _result(
            _differences(total), _differences(drawn_SGK.sum(axis=1)),
            sum(flips) / max(total[2], 1), certain,
        ),
        _result(found_G.mean(), drawn_SG.mean(axis=1), sum(shares) / len(shares), certain),
    )  # fmt: skip


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P values of several tests, corrected such that one false alarm in all is as rare as one's.

    Holm 1979: the k-th smallest times (number of tests - k + 1), never falling, at most 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def resampled_groups(
    table: np.ndarray,
    groups: np.ndarray,
    units: Sequence | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> np.ndarray:
    """Sums (S, G, K) of the figures (N, K), the units of each group drawn with replacement.

    Every group keeps its number of units; a unit with utterances in two groups is one in each.
    """
    num_groups = int(groups.max(initial=-1)) + 1
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(num_groups + 1))
    sums_SGK = np.empty((samples, num_groups, table.shape[1]))
    for group in range(num_groups):
        members = order[bounds[group] : bounds[group + 1]]
        values_UK = unit_sums(table[members], _of(units, members))
        sums_SGK[:, group] = _resampled(values_UK, samples, np.random.default_rng([seed, group]))
    return sums_SGK


def sampling_units(
    groups: Sequence[int], units: Sequence, at_least: int = MIN_UNITS
) -> tuple[np.ndarray, np.ndarray]:
    """Which units to draw: those given, but single utterances in groups of too few units.

    ``groups`` (N,) are 0 .. G-1, ``units`` (N,) the speaker or recording of each utterance.

    Returns:
        Units (N,) as numbers, and (G,) bool: groups whose utterances are drawn one by one.
    """
    groups = np.asarray(groups)
    names, index = np.unique(np.asarray(units), return_inverse=True)
    pairs = np.unique(groups * len(names) + index) // max(len(names), 1)
    too_few = np.bincount(pairs, minlength=int(groups.max(initial=-1)) + 1) < at_least
    return np.where(too_few[groups], len(names) + np.arange(len(groups)), index), too_few


def unit_sums(table: np.ndarray, units: Sequence | None) -> np.ndarray:
    """Sums (U, K) over the utterances of each unit; without units the table (N, K) itself."""
    if units is None:
        return table
    names, index = np.unique(np.asarray(units), return_inverse=True)
    columns = [np.bincount(index, column, len(names)) for column in table.T]
    return np.stack(columns, axis=1)


def rates(errors: np.ndarray, refs: np.ndarray) -> np.ndarray:
    """Errors per reference unit; of an empty reference 0 where there is no error, else 1."""
    return np.where(refs > 0, errors / np.maximum(refs, 1), np.minimum(errors, 1.0))


def interval(drawn: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Low and high (2, ...) between which the middle ``level`` of (S, ...) samples lie."""
    return np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share, also where all or none succeeded.

    Source: E. B. Wilson, "Probable inference", JASA 22:209, 1927.
    """
    share, square = successes / trials, NORMAL_95**2 / trials
    centre = (share + square / 2) / (1 + square)
    half = NORMAL_95 / (1 + square) * math.sqrt(share * (1 - share) / trials + square / 4 / trials)
    return max(0.0, centre - half), min(1.0, centre + half)


def _resampled(values_UK: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(S, K): sums of U rows drawn with replacement, in blocks, so that memory is bounded."""
    num = len(values_UK)
    sums_SK = np.empty((samples, values_UK.shape[1]))
    rows = max(1, BLOCK // max(num, 1))
    for begin in range(0, samples, rows):
        count = min(rows, samples - begin)
        drawn = rng.integers(0, num, (count, num), dtype=np.int32)
        drawn += (num * np.arange(count, dtype=np.int32))[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * num).reshape(count, num)
        sums_SK[begin : begin + count] = times @ values_UK
    return sums_SK


def _flipped(sums_UK: np.ndarray, samples: int, seed: Sequence[int]) -> np.ndarray:
    """Errors of b minus errors of a (1 + S,): as they are, then with units swapped at random."""
    gains = sums_UK[:, 1] - sums_UK[:, 0]
    gains = gains[gains != 0]  # swapping the others changes nothing
    rng = np.random.default_rng(seed)
    swapped = np.empty(1 + samples)
    swapped[0] = gains.sum()
    rows = max(1, BLOCK // max(len(gains), 1))
    for begin in range(0, samples, rows):
        count = min(rows, samples - begin)
        kept = rng.integers(0, 2, (count, len(gains)), dtype=np.int8)
        swapped[1 + begin : 1 + begin + count] = 2.0 * (kept @ gains) - gains.sum()
    return swapped


def _result(difference: float, drawn_S: np.ndarray, swapped: np.ndarray, alone: bool) -> Difference:
    as_large = np.abs(swapped[1:]) >= abs(swapped[0]) - 1e-12
    p_value = (1 + int(as_large.sum())) / len(swapped)
    low, high = (None, None) if alone else map(float, interval(drawn_S))
    return Difference(float(difference), low, high, p_value)


def _differences(sums: np.ndarray) -> np.ndarray:
    """Rate of b minus rate of a (...,) of sums (..., 3): errors a, errors b, reference units."""
    return rates(sums[..., 1], sums[..., 2]) - rates(sums[..., 0], sums[..., 2])


def _columns(*columns: Sequence[float]) -> np.ndarray:
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _of(units: Sequence | None, index: np.ndarray) -> np.ndarray | None:
    return None if units is None else np.asarray(units)[index]


def _num_units(units: Sequence | None, num: int) -> int:
    return num if units is None else len(set(np.asarray(units).tolist()))
