"""95 % intervals of every rate of a score, by bootstrap (``bootstrap``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.scoring.bootstrap import (
    MIN_UNITS,
    SAMPLES,
    SEED,
    interval,
    rates,
    resampled_groups,
    sampling_units,
    wilson,
)
from asr_dro_plugin.scoring.scores import Score

Interval = tuple[float, float] | None  # None: too few units, or none differs
KINDS = ("utterance", "speaker", "recording")


@dataclass(frozen=True)
class Units:
    """What is drawn: utterances, or all of a speaker or recording together.

    ``kind`` is one of ``KINDS``; ``of_utt`` is utterance id -> unit, None for utterances.
    """

    kind: str = "utterance"
    of_utt: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Intervals:
    """Intervals by metric; ``by_utterance`` names groups of one speaker or recording.

    ``kind`` is what was drawn in the others, and ``utterance`` where there are no others;
    ``units`` is how many were drawn of each group.
    """

    kind: str
    samples: int
    seed: int
    by_utterance: tuple[str, ...]
    units: Mapping[str, int]
    groups: Mapping[str, Mapping[str, Interval]]
    total: Mapping[str, Interval]
    macro: Mapping[str, Interval]


def intervals_of(
    score: Score, units: Units | None = None, samples: int = SAMPLES, seed: int = SEED
) -> Intervals:
    """Intervals of every metric: of each group, of all text, and of the groups' mean.

    All metrics are drawn together, and every group by itself: the groups are given, not sampled.
    """
    units, utterances = units or Units(), score.utterances
    numbers, by_utterance = unit_numbers(score, units)
    names, group_ids = utterances.group_names, utterances.group_ids
    inside = [group_ids == number for number in range(len(names))]
    counts = [len(np.unique(numbers[mine])) for mine in inside]
    sums_SGK = resampled_groups(figures(score), group_ids, numbers, samples, seed)
    groups: dict[str, dict[str, Interval]] = {name: {} for name in names}
    total, macro = {}, {}
    for column, metric in enumerate(score.metrics):
        errors_SG, refs_SG = sums_SGK[..., 2 * column], sums_SGK[..., 2 * column + 1]
        rates_SG = rates(errors_SG, refs_SG)
        for name, mine, count in zip(names, rates_SG.T, counts, strict=True):
            groups[name][metric] = interval(mine, mine[:, None], [count])
        macro[metric] = interval(rates_SG.mean(axis=1), rates_SG / len(names), counts)
        total[metric] = _pooled(errors_SG, refs_SG, counts)
    if score.has_lid:
        for name, mine, count in zip(names, inside, counts, strict=True):
            of_group = utterances.lid_correct[mine]
            groups[name]["lid"] = _of_all_right(groups[name]["lid"], of_group, count)
        total["lid"] = _of_all_right(total["lid"], utterances.lid_correct, sum(counts))
    kind = KINDS[0] if len(by_utterance) == len(names) else units.kind
    units_of = dict(zip(names, counts, strict=True))
    return Intervals(kind, samples, seed, by_utterance, units_of, groups, total, macro)


def _pooled(errors_SG: np.ndarray, refs_SG: np.ndarray, counts: Sequence[int]) -> Interval:
    """Of the rate of all text; a group contributes what it has above or below that rate."""
    errors_S, refs_S = errors_SG.sum(axis=1), refs_SG.sum(axis=1)
    rates_S = rates(errors_S, refs_S)
    parts_SG = (errors_SG - rates_S.mean() * refs_SG) / max(refs_S.mean(), 1.0)
    return interval(rates_S, parts_SG, counts)


def figures(score: Score) -> np.ndarray:
    """(N, 2 K): of each of K metrics the errors (``lid``: right answers) and reference units."""
    columns = []
    for counts in score.utterances.counts.values():
        columns += [counts.errors, counts.ref]
    if score.has_lid:
        right = score.utterances.lid_correct
        columns += [right, np.ones(len(right))]
    return np.stack(columns, axis=1).astype(np.float64)


def unit_numbers(score: Score, units: Units) -> tuple[np.ndarray, tuple[str, ...]]:
    """Unit (N,) of each utterance, and the groups that have one alone, drawn by utterance."""
    utterances = score.utterances
    if units.of_utt is None:
        return np.arange(len(utterances)), ()
    numbers, too_few = sampling_units(utterances.group_ids, utterances.unit_names(units.of_utt))
    return numbers, tuple(utterances.group_names[place] for place in np.flatnonzero(too_few))


def _of_all_right(found: Interval, right: np.ndarray, num_units: int) -> Interval:
    """Wilson's interval where every draw is alike: 47 right of 47 does not prove 100 %."""
    if found is not None or num_units < MIN_UNITS or 0 < right.mean() < 1:
        return found
    return wilson(round(float(right.mean()) * num_units), num_units)
