"""Whether two error rates of the same references differ: the test that swaps, and its interval.

If two hypotheses are equally good, swapping them in a *unit* (an utterance, or all of a speaker or
recording) changes nothing but chance: approximate randomisation (Noreen 1989).  The interval holds
every difference that this test does not refuse at 5 % (test inversion, Garthwaite 1996): it and the
p value cannot disagree, and of few units it is wide or there is none.

Shapes: N utterances, U units, G groups, S swaps; a row of two is gains (errors of b minus errors of
a) and reference units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.scoring.bootstrap import BLOCK, SAMPLES, SEED, of_units, unit_sums

ALPHA = 0.05
ROUNDING = 1e-12  # differences of rates that only rounding tells apart


@dataclass(frozen=True)
class Difference:
    """Rate of the second minus rate of the first, 0..1: negative is better than the first.

    ``low`` to ``high`` is its 95 % interval: it holds 0 where ``p_value`` is 0.05 or more, and only
    there; None where the units are so few (below six) that no difference could be refused.
    ``p_value`` is how often chance makes such a difference, of this group alone; ``p_holm`` is
    corrected for the number of groups (None of micro and macro), and decides.
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

    The p value is two-sided, (1 + as large) / (1 + samples); of so few units that all swaps are no
    more than ``samples``, all are made and it is exact.

    Args:
        errors_a, errors_b: (N,) errors of each utterance under a and under b.
        refs: (N,) its reference units.
        units: (N,) its speaker or recording, of any hashable kind; None: each for itself.
        samples: times that units are swapped at random.
        seed: the same seed gives the same figures.
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
    gains = np.asarray(errors_b, dtype=np.float64) - np.asarray(errors_a, dtype=np.float64)
    table = np.stack([gains, np.asarray(refs, dtype=np.float64)], axis=1)
    sums = [
        unit_sums(table[inside], of_units(units, inside))
        for inside in (groups == group for group in range(int(groups.max()) + 1))
    ]
    share = [1 / max(values[:, 1].sum(), 1) / len(sums) for values in sums]
    drawn = [_some_swaps(values, samples, [seed, group, 1]) for group, values in enumerate(sums)]
    pooled, mean = sum(drawn), sum(each * part for each, part in zip(drawn, share, strict=True))
    if _can_be_counted(sum(map(len, sums)), samples):
        pooled = _all_swaps(np.concatenate(sums))
        mean = _all_swaps(np.concatenate([v * part for v, part in zip(sums, share, strict=True)]))
    return PairedGroups(
        tuple(
            _result(_all_swaps(values) if _can_be_counted(len(values), samples) else some)
            for values, some in zip(sums, drawn, strict=True)
        ),
        _result(pooled),
        _result(mean),
    )


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


def _can_be_counted(num_units: int, samples: int) -> bool:
    return num_units <= math.log2(1 + samples)


def _all_swaps(values_U2: np.ndarray) -> np.ndarray:
    """(2^U, 2): sums with the sign of each unit kept or changed in every way; as they are first."""
    num = len(values_U2)
    changed = (np.arange(2**num)[:, None] >> np.arange(num)) & 1
    return (1.0 - 2 * changed) @ values_U2


def _some_swaps(values_U2: np.ndarray, samples: int, seed: Sequence[int]) -> np.ndarray:
    """(1 + S, 2): sums as they are, then with signs of units changed at random; in blocks."""
    total, num = values_U2.sum(axis=0), len(values_U2)
    rng = np.random.default_rng(seed)
    sums = np.empty((1 + samples, 2))
    sums[0] = total
    rows = max(1, BLOCK // max(num, 1))
    for begin in range(0, samples, rows):
        count = min(rows, samples - begin)
        kept = rng.integers(0, 2, (count, num), dtype=np.int8)
        sums[1 + begin : 1 + begin + count] = 2.0 * (kept @ values_U2) - total
    return sums


def _result(swapped_S2: np.ndarray) -> Difference:
    """The difference of the first row, judged by all rows."""
    gain, refs = swapped_S2[0]
    low_S, high_S = _not_refused(swapped_S2)
    p_value = float(np.mean((low_S <= 0) & (high_S >= 0)))
    difference = float(gain / refs) if refs > 0 else float(np.clip(gain, -1, 1))
    rank = math.ceil(ALPHA * len(low_S) - 1e-9) - 1
    low, high = float(np.sort(low_S)[rank]), float(-np.sort(-high_S)[rank])
    if not (refs > 0 and math.isfinite(low) and math.isfinite(high)):
        low = high = None
    return Difference(difference, low, high, p_value)


def _not_refused(swapped_S2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high (S,) of the true differences d at which each swap is as large as what was seen.

    |A_s - d B_s| >= |A - d B| where d lies between (A - A_s) / (B - B_s) and (A + A_s) / (B + B_s),
    the differences of the units changed and of those kept (Hartigan 1969); everywhere where all or
    none are changed.
    """
    seen, ends = swapped_S2[0], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for part in (seen - swapped_S2, seen + swapped_S2):
            part = np.where(np.abs(part) < ROUNDING, 0.0, part)
            ends.append(part[:, 0] / part[:, 1])
    always = np.isnan(ends[0]) | np.isnan(ends[1])
    low, high = np.minimum(*ends), np.maximum(*ends)
    return np.where(always, -np.inf, low), np.where(always, np.inf, high)
