"""How sure an error rate is: resampling.

What is drawn again is the *unit*: an utterance, or all utterances of a speaker or recording, for
those err alike and are no independent evidence (Bisani and Ney 2004, "Bootstrap estimates for
confidence intervals in ASR performance evaluation").  A rate is errors over reference units (words,
characters) of everything drawn, so long utterances weigh more, as in the corpus rate.

Shapes: N utterances, U units, G groups, K figures a unit, S samples.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

SAMPLES, SEED = 1000, 0
NORMAL_95 = 1.959964  # 97.5 % quantile of the normal distribution
MIN_UNITS = 5  # fewer say too little of their spread for an interval
NO_SPREAD = 1e-18  # variance of what only rounding tells apart
BLOCK = 1 << 20  # draws held in memory at once (8 MB an array of them)


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
        values_UK = unit_sums(table[members], of_units(units, members))
        sums_SGK[:, group] = _resampled(values_UK, samples, np.random.default_rng([seed, group]))
    return sums_SGK


def sampling_units(groups: Sequence[int], units: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Which units to draw: those given, but single utterances in groups of one unit alone.

    ``groups`` (N,) are 0 .. G-1, ``units`` (N,) the speaker or recording of each utterance.

    Returns:
        Units (N,) as numbers, and (G,) bool: groups whose utterances are drawn one by one.
    """
    groups = np.asarray(groups)
    names, index = np.unique(np.asarray(units), return_inverse=True)
    pairs = np.unique(groups * len(names) + index) // max(len(names), 1)
    alone = np.bincount(pairs, minlength=int(groups.max(initial=-1)) + 1) < 2
    return np.where(alone[groups], len(names) + np.arange(len(groups)), index), alone


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


def interval(
    drawn_S: np.ndarray, parts_SG: np.ndarray, num_units: Sequence[int]
) -> tuple[float, float] | None:
    """95 % interval of a figure from S samples; None of too few units, or where none differ.

    Percentiles of the bootstrap, farther out the fewer units there are, as Student's t is wider
    than the normal distribution and the bootstrap's variance too small by (U - 1) / U: Hesterberg
    2015, "What teachers should know about the bootstrap" (expanded percentile interval).  Degrees
    of freedom of a sum over groups are Satterthwaite's (1946).

    Args:
        drawn_S: (S,) the figure in each sample.
        parts_SG: (S, G) what each group, drawn by itself, contributes to it.
        num_units: (G,) units of each group.
    """
    units_G, drawn_G = np.asarray(num_units, dtype=np.float64), parts_SG.var(axis=0)
    if units_G.min(initial=MIN_UNITS) < 2 or drawn_G.sum() <= NO_SPREAD:
        return None
    unbiased_G = drawn_G * units_G / (units_G - 1)
    freedom = unbiased_G.sum() ** 2 / (unbiased_G**2 / (units_G - 1)).sum()
    if freedom < MIN_UNITS - 1 - 1e-6:
        return None
    out = t_quantile(freedom) * math.sqrt(unbiased_G.sum() / drawn_G.sum())
    tail = NormalDist().cdf(-out)
    low, high = np.quantile(drawn_S, [tail, 1 - tail])
    return float(low), float(high)


def t_quantile(freedom: float) -> float:
    """97.5 % quantile of Student's t, to 0.001 from 4 degrees of freedom on.

    Source: Abramowitz and Stegun 1964, 26.7.5.
    """
    z = NORMAL_95
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


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


def of_units(units: Sequence | None, index: np.ndarray) -> np.ndarray | None:
    """Units of some utterances (their places, or a mask); None of none."""
    return None if units is None else np.asarray(units)[index]
