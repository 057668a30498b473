"""Is one hypothesis better than the other?  The one paired test, of every score and every report.

Both answer the same references, so each group's difference is drawn again over its utterances (or
speakers, recordings).  With many groups some would look different by chance: Holm's correction
keeps the chance of a single false mark at 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.bootstrap import SAMPLES, SEED, sampling_units
from asr_dro_plugin.scoring.confidence import Units
from asr_dro_plugin.scoring.scores import Score
from asr_dro_plugin.scoring.swaps import ALPHA, Difference, holm, paired_groups, paired_test

# Where a group may differ: Holm asks for p values below ALPHA / groups, which few samples cannot
# show.  At least so many, and so many more that the smallest p value is half of that.
MANY_SAMPLES, FINENESS = 10_000, 2


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
    """The paired test of two hypotheses of N utterances: ``errors`` (N,) of both, ``refs`` (N,).

    Each utterance has a group, and a unit: its speaker or recording, or its own id.  ``samples``
    and ``seed`` are as ``swaps.paired_groups`` takes them.
    """
    names, group_ids = np.unique(np.asarray(groups), return_inverse=True)
    numbers, _ = sampling_units(group_ids, units)
    columns = [np.asarray(column) for column in (*errors, refs)]
    found = paired_groups(*columns, group_ids, numbers, samples, seed)
    results = list(found.groups)
    most = max(samples, MANY_SAMPLES, round(FINENESS * len(names) / ALPHA))
    for number, result in enumerate(found.groups):
        if result.p_value < ALPHA:
            inside = group_ids == number
            again = (column[inside] for column in (*columns, numbers))
            results[number] = paired_test(*again, most, seed)
    corrected = holm([result.p_value for result in results]).tolist()
    groups = [replace(one, p_holm=p) for one, p in zip(results, corrected, strict=True)]
    return Differences(
        dict(zip(names.tolist(), groups, strict=True)), found.micro, found.macro, len(refs)
    )


def compare_scores(
    first: Score,
    second: Score,
    units: Units | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, dict]:
    """The paired test of two scores of the same references, by metric, as ``score.json`` keeps it.

    Each of ``micro``, ``macro`` and ``groups.<name>``: ``rates`` of both, ``difference`` (second
    minus first: negative is better), ``ci``, ``p_value``, ``significant`` (p < 0.05).  The groups
    have ``p_holm`` beside, corrected for their number; theirs decides.
    """
    if list(first.utterances.refs) != list(second.utterances.refs):
        raise UserError("Two scores of different references cannot be compared. Score one REF.")
    drawn = first.utterances.unit_names((units or Units()).of_utt)
    return {
        metric: _of_metric(first, second, metric, drawn, samples, seed)
        for metric in first.utterances.counts
    }


def _of_metric(
    first: Score, second: Score, metric: str, units: list[str], samples: int, seed: int
) -> dict:
    sides = (first, second)
    counts = [side.utterances.counts[metric] for side in sides]
    errors = (counts[0].errors, counts[1].errors)
    found = differences(errors, counts[0].ref, first.utterances.groups(), units, samples, seed)
    pooled = [getattr(side.total, metric).rate for side in sides]
    return {
        "groups": {
            name: _plain(each, [side.rate(name, metric) for side in sides])
            for name, each in found.groups.items()
        },
        "micro": _plain(found.micro, pooled),
        "macro": _plain(found.macro, [side.macro(metric) for side in sides]),
    }


def _plain(found: Difference, both: list[float]) -> dict:
    of_group = {} if found.p_holm is None else {"p_holm": found.p_holm}
    return {
        "rates": both,
        "difference": found.difference,
        "ci": None if found.low is None else [found.low, found.high],
        "p_value": found.p_value,
        "significant": found.significant,
        **of_group,
    }
