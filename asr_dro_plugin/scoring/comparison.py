"""Is one hypothesis better than the other?  Per group, pooled and over groups, with p values."""

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.bootstrap import (
    SAMPLES,
    SEED,
    PairedResult,
    holm,
    paired_groups,
    paired_test,
)
from asr_dro_plugin.scoring.confidence import Units, unit_numbers
from asr_dro_plugin.scoring.scores import Score

ALPHA = 0.05
MANY_SAMPLES = 10_000  # where a group may differ: Holm asks for p values below ALPHA / groups


def compare_scores(
    first: Score,
    second: Score,
    units: Units | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> dict[str, dict]:
    """The paired test of two scores of the same references, by metric.

    Each of ``micro``, ``macro`` and ``groups.<name>``: ``rates`` of both, ``difference`` (second
    minus first: negative is better), ``ci``, ``p_value``, ``significant`` (p < 0.05).  The groups
    have ``p_holm`` beside, corrected for their number; theirs decides.
    """
    if list(first.utterances.refs) != list(second.utterances.refs):
        raise UserError("Two scores of different references cannot be compared. Score one REF.")
    numbers, _ = unit_numbers(first, units or Units())
    metrics = first.utterances.counts
    return {metric: _of_metric(first, second, metric, numbers, samples, seed) for metric in metrics}


def _of_metric(
    first: Score, second: Score, metric: str, numbers: np.ndarray, samples: int, seed: int
) -> dict:
    sides = (first, second)
    counts = [side.utterances.counts[metric] for side in sides]
    columns = (counts[0].errors, counts[1].errors, counts[0].ref)
    group_ids = first.utterances.group_ids
    found = paired_groups(*columns, group_ids, numbers, samples, seed)
    p_values = [result.p_value for result in found.groups]
    for number in np.flatnonzero(np.array(p_values) < ALPHA).tolist():
        inside = group_ids == number
        again = (column[inside] for column in (*columns, numbers))
        p_values[number] = paired_test(*again, max(samples, MANY_SAMPLES), seed).p_value
    groups = {}
    table = zip(first.groups, found.groups, p_values, holm(p_values).tolist(), strict=True)
    for name, result, p_value, p_holm in table:
        both = [side.rate(name, metric) for side in sides]
        corrected = {"p_value": p_value, "p_holm": p_holm, "significant": p_holm < ALPHA}
        groups[name] = _plain(result, both) | corrected
    pooled = [getattr(side.total, metric).rate for side in sides]
    return {
        "groups": groups,
        "micro": _plain(found.micro, pooled),
        "macro": _plain(found.macro, [side.macro(metric) for side in sides]),
    }


def _plain(result: PairedResult, both: list[float]) -> dict:
    return {
        "rates": both,
        "difference": result.difference,
        "ci": None if result.low is None else [result.low, result.high],
        "p_value": result.p_value,
        "significant": result.p_value < ALPHA,
    }
