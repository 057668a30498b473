"""95 % intervals of every rate of a score, by bootstrap (``bootstrap``)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.scoring.bootstrap import (
    SAMPLES,
    SEED,
    interval,
    rates,
    resampled_groups,
    sampling_units,
    wilson,
)
from asr_dro_plugin.scoring.scores import Score

Interval = tuple[float, float] | None  # None: of one unit nothing can be said
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
    """Intervals by metric; ``by_utterance`` names groups of too few speakers or recordings.

    ``kind`` is what was drawn in the others, and ``utterance`` where there are no others.
    """

    kind: str
    samples: int
    seed: int
    by_utterance: tuple[str, ...]
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
    several = np.array([len(np.unique(numbers[mine])) > 1 for mine in inside])
    sums_SGK = resampled_groups(figures(score), group_ids, numbers, samples, seed)
    groups: dict[str, dict[str, Interval]] = {name: {} for name in names}
    total, macro = {}, {}
    for column, metric in enumerate(score.metrics):
        errors_SG, refs_SG = sums_SGK[..., 2 * column], sums_SGK[..., 2 * column + 1]
        rates_SG = rates(errors_SG, refs_SG)
        for name, found in zip(names, _intervals(rates_SG, several), strict=True):
            groups[name][metric] = found
        of_all = rates(errors_SG.sum(axis=1), refs_SG.sum(axis=1)), rates_SG.mean(axis=1)
        total[metric], macro[metric] = _intervals(np.stack(of_all, 1), several.any().repeat(2))
    if score.has_lid:
        for name, mine in zip(names, inside, strict=True):
            groups[name]["lid"] = _with_spread(groups[name]["lid"], utterances.lid_correct[mine])
        total["lid"] = _with_spread(total["lid"], utterances.lid_correct)
    kind = KINDS[0] if len(by_utterance) == len(names) else units.kind
    return Intervals(kind, samples, seed, by_utterance, groups, total, macro)


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
    """Unit (N,) of each utterance, and the groups that have too few, drawn by utterance."""
    utterances = score.utterances
    if units.of_utt is None:
        return np.arange(len(utterances)), ()
    numbers, too_few = sampling_units(utterances.group_ids, utterances.unit_names(units.of_utt))
    return numbers, tuple(utterances.group_names[place] for place in np.flatnonzero(too_few))


def _with_spread(found: Interval, right: np.ndarray) -> Interval:
    """Wilson's interval where every draw is alike: 47 right of 47 does not prove 100 %."""
    if found is None or found[0] != found[1]:
        return found
    return wilson(int(right.sum()), len(right))


def _intervals(drawn_SG: np.ndarray, several: np.ndarray) -> list[Interval]:
    low, high = interval(drawn_SG)
    return [
        (float(a), float(b)) if enough else None
        for a, b, enough in zip(low, high, several, strict=True)
    ]
