"""Is one hypothesis better than the other?  The one paired test, of every score and every report.

Both answer the same references, so each group's difference is drawn again over its utterances (or
speakers, recordings).  With many groups some would look different by chance: Holm's correction
keeps the chance of a single false mark at 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.scoring.bootstrap import (
    SAMPLES,
    SEED,
    PairedResult,
    holm,
    paired_groups,
    paired_test,
    sampling_units,
)

ALPHA = 0.05
# Where a group may differ: Holm asks for p values below ALPHA / groups, which few samples cannot
# show.  At least so many, and so many more that the smallest p value is half of that.
MANY_SAMPLES, FINENESS = 10_000, 2


@dataclass(frozen=True)
class Difference:
    """Second minus first, in rates 0..1: negative is better than the first.

    ``low`` and ``high`` are None where there is one unit only; ``p_value`` is of this group alone,
    ``p_holm`` corrected for the number of groups (None of micro and macro), and decides.
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


@dataclass(frozen=True)
class Differences:
    """Of each group by name, of all text pooled, of the groups' mean; over how many utterances."""

    groups: Mapping[str, Difference]
    micro: Difference
    macro: Difference
    utterances: int

    def marked(self, better: bool) -> list[str]:
        """Groups that are significantly better, or worse, largest difference first."""
        found = [
            name
            for name, each in self.groups.items()
            if each.significant and (each.difference < 0) == better
        ]
        return sorted(found, key=lambda name: (-abs(self.groups[name].difference), name))


def differences(
    errors: tuple[Sequence[int], Sequence[int]],
    refs: Sequence[int],
    groups: Sequence[str],
    units: Sequence[str],
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Differences:
    """The paired test of two hypotheses of N utterances.

    Args:
        errors: (N,) errors of the first and of the second.
        refs: (N,) reference units.
        groups: (N,) group of each utterance.
        units: (N,) its speaker or recording, or its own id.
        samples, seed: as ``bootstrap.paired_groups``.
    """
    names, group_ids = np.unique(np.asarray(groups), return_inverse=True)
    numbers, _ = sampling_units(group_ids, units)
    columns = [np.asarray(column) for column in (*errors, refs)]
    found = paired_groups(*columns, group_ids, numbers, samples, seed)
    p_values = [result.p_value for result in found.groups]
    most = max(samples, MANY_SAMPLES, round(FINENESS * len(names) / ALPHA))
    for number in np.flatnonzero(np.array(p_values) < ALPHA).tolist():
        inside = group_ids == number
        again = (column[inside] for column in (*columns, numbers))
        p_values[number] = paired_test(*again, most, seed).p_value
    table = zip(found.groups, p_values, holm(p_values).tolist(), strict=True)
    return Differences(
        dict(zip(names.tolist(), (_of(*row) for row in table), strict=True)),
        _of(found.micro, found.micro.p_value),
        _of(found.macro, found.macro.p_value),
        len(refs),
    )


def _of(result: PairedResult, p_value: float, p_holm: float | None = None) -> Difference:
    return Difference(result.difference, result.low, result.high, p_value, p_holm)
