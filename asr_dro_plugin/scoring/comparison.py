"""Two scores of the same references, compared by metric, as ``score.json`` keeps it."""

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.bootstrap import SAMPLES, SEED
from asr_dro_plugin.scoring.confidence import Units
from asr_dro_plugin.scoring.paired import Difference, differences
from asr_dro_plugin.scoring.scores import Score


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
