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

    Args:
        kind: one of ``KINDS``.
        of_utt: utterance id -> unit; None for utterances.
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
    units = units or Units()
    numbers, by_utterance = unit_numbers(score, units)
    names = score.utterances.group_names
    group_ids = score.utterances.group_ids
    sums_SGK = resampled_groups(figures(score), group_ids, numbers, samples, seed)
    drawn = {
        metric: sums_SGK[..., 2 * column : 2 * column + 2]
        for column, metric in enumerate(score.metrics)
    }
    several = np.array([_several(numbers, group_ids == number) for number in range(len(names))])
    by_group = {metric: _intervals(rates(*_split(sums)), several) for metric, sums in drawn.items()}
    some = several.any(keepdims=True)
    pooled = {
        metric: _intervals(rates(*_split(sums.sum(axis=1, keepdims=True))), some)[0]
        for metric, sums in drawn.items()
    }
    means = {
        metric: _intervals(rates(*_split(sums)).mean(axis=1, keepdims=True), some)[0]
        for metric, sums in drawn.items()
    }
    if score.has_lid:
        right = score.utterances.lid_correct
        by_group["lid"] = [
            _with_spread(found, right[group_ids == number])
            for number, found in enumerate(by_group["lid"])
        ]
        pooled["lid"] = _with_spread(pooled["lid"], right)
    groups = {
        name: {metric: by_group[metric][number] for metric in drawn}
        for number, name in enumerate(names)
    }
    kind = KINDS[0] if len(by_utterance) == len(names) else units.kind
    return Intervals(kind, samples, seed, by_utterance, groups, pooled, means)


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


def _several(numbers: np.ndarray, inside: np.ndarray) -> bool:
    return len(np.unique(numbers[inside])) > 1


def _with_spread(found: Interval, right: np.ndarray) -> Interval:
    """Wilson's interval where every draw is alike: 47 right of 47 does not prove 100 %."""
    if found is None or found[0] != found[1]:
        return found
    return wilson(int(right.sum()), len(right))


def _split(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sums[..., 0], sums[..., 1]


def _intervals(drawn_SG: np.ndarray, several: np.ndarray) -> list[Interval]:
    low, high = interval(drawn_SG)
    return [
        (float(a), float(b)) if enough else None
        for a, b, enough in zip(low, high, several, strict=True)
    ]
