"""What a plan is like: how full, how padded, how even, and what stands out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_dro_plugin.samplers.interleave import longest_run
from asr_dro_plugin.samplers.packing import seconds_of

MIXED = -1  # group of a batch that holds several


@dataclass(frozen=True)
class PlanStats:
    """Figures of a plan; ``full`` batches are all but the least full one of each group, which holds
    what was left, and but those of one utterance above d.

    Attributes:
        num_batches, num_utterances: of the plan, repeats counted.
        duration: d, seconds.
        mean_fill: mean seconds of the full batches over d; nan without any.
        fill_quantiles: of the same, at 0, 5, 25, 50, 75, 95 and 100 %; empty without any.
        mean_fill_of_all: of every batch, those above d counted as d.
        padding: share of padded time in all, 1 - sum(seconds) / sum(utterances * longest).
        longest_run: most batches of one group in a row (0 where groups are mixed).
        over_long: indices of the utterances above d.
        max_repeats: how often the most frequent utterance occurs.
        num_left_out: utterances that do not occur.
        batches_G: (G,) batches of each group, (0,) where groups are mixed.
    """

    num_batches: int
    num_utterances: int
    duration: float
    mean_fill: float
    fill_quantiles: tuple[float, ...]
    mean_fill_of_all: float
    padding: float
    longest_run: int
    over_long: np.ndarray = field(repr=False)
    max_repeats: int
    num_left_out: int
    batches_G: np.ndarray = field(repr=False)

    def __str__(self) -> str:
        """One line for a log."""
        run = f", longest run of one group {self.longest_run}" if len(self.batches_G) else ""
        if self.max_repeats > 1 or self.num_left_out:
            run += (
                f"; utterances occur up to {self.max_repeats} times, {self.num_left_out} not at all"
            )
        return (
            f"{self.num_batches} batches of up to {self.duration:g} s hold {self.num_utterances} "
            f"utterances; {self._fill()}, padding {100 * self.padding:.1f} %{run}"
        )

    def _fill(self) -> str:
        if not len(self.fill_quantiles):
            return f"filled to {100 * self.mean_fill_of_all:.1f} %"
        low, _, _, median, _, _, high = (100 * q for q in self.fill_quantiles)
        return (
            f"the full ones are filled to {100 * self.mean_fill:.1f} % "
            f"(least {low:.1f}, median {median:.1f}, most {high:.1f})"
        )


QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def describe_plan(
    batches: Sequence[Sequence[int]],
    durations: Sequence[float],
    group_ids: Sequence[int],
    duration: float,
) -> PlanStats:
    """Figures of a plan of all ranks; empty batches are passed over.

    Args:
        batches: indices into ``durations``, in the order of the steps.
        durations, group_ids: (N,); duration: d, seconds.
    """
    durations, group_ids = np.asarray(durations, dtype=np.float64), np.asarray(group_ids)
    batches = [np.asarray(batch, dtype=np.int64) for batch in batches if len(batch)]
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *batches])
    seconds, groups = seconds_of(batches, durations), _groups_of(batches, group_ids)
    longest = np.array([durations[batch].max() for batch in batches])
    sizes = np.array([len(batch) for batch in batches], dtype=np.int64)
    fills = seconds[_is_full(seconds, groups, duration)] / duration
    repeats = np.bincount(flat, minlength=len(durations))
    is_mixed = bool((groups == MIXED).any())
    return PlanStats(
        num_batches=len(batches),
        num_utterances=len(flat),
        duration=float(duration),
        mean_fill=float(fills.mean()) if len(fills) else float("nan"),
        fill_quantiles=tuple(np.quantile(fills, QUANTILES).tolist() if len(fills) else ()),
        mean_fill_of_all=float(np.minimum(seconds / duration, 1).mean()) if batches else 0.0,
        padding=float(1 - seconds.sum() / (sizes * longest).sum()) if batches else 0.0,
        longest_run=0 if is_mixed else longest_run(groups),
        over_long=np.flatnonzero((durations > duration) & (repeats > 0)),
        max_repeats=int(repeats.max(initial=0)),
        num_left_out=int((repeats == 0).sum()),
        batches_G=np.zeros(0, dtype=np.int64) if is_mixed else np.bincount(groups),
    )


def _groups_of(batches: Sequence[np.ndarray], group_ids: np.ndarray) -> np.ndarray:
    """Group of each batch."""
    if not batches:
        return np.zeros(0, dtype=np.int64)
    ids = group_ids[np.concatenate(batches)]
    starts = np.cumsum([0, *map(len, batches[:-1])])
    low, high = np.minimum.reduceat(ids, starts), np.maximum.reduceat(ids, starts)
    return np.where(low == high, low, MIXED)


def _is_full(seconds: np.ndarray, groups: np.ndarray, duration: float) -> np.ndarray:
    """Which batches count as full; a mixed plan is one group."""
    if (groups == MIXED).any():
        groups = np.zeros_like(groups)
    order = np.lexsort((seconds, groups))
    is_full = seconds <= duration * (1 + 1e-9)
    is_first = np.diff(groups[order], prepend=-2) != 0
    is_full[order[is_first]] = False
    return is_full
