"""What a sampler is: a pure plan from lengths and groups to batches."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers.packing import Batches


class AbsBatchSampler(ABC):
    """Plans the batches of an epoch, for all ranks together.

    Args:
        duration: d, seconds of speech a batch is filled to and never exceeds, except by one
            utterance that is longer and then alone.
    """

    def __init__(self, duration: float = 50.0) -> None:
        if not 0 < duration < float("inf"):
            raise UserError(f"A batch of {duration} s holds nothing. Set duration above 0.")
        self.duration = float(duration)

    def plan(
        self,
        durations: Sequence[float],
        group_ids: Sequence[int],
        seed: int,
        epoch: int,
        group_weights: Sequence[float] | None = None,
        num_batches: int | None = None,
    ) -> Batches:
        """The batches of one epoch in their order, the same for the same arguments.

        Args:
            durations: (N,) seconds.
            group_ids: (N,) ids 0..G-1; some may have no utterance.
            seed, epoch: what the plan is drawn from; no other generator is touched.
            group_weights: (G,) q; batches are drawn from the groups in this proportion (``acts_on:
                sampling``), with repeats, in place of the sampler's own.
            num_batches: how many are drawn with ``group_weights``; None: about what the data hold.

        Returns:
            Arrays of indices into ``durations``, none of them empty.

        Raises:
            UserError: lengths, ids, weights, seed or epoch that no plan can be made of.
        """
        durations, group_ids = checked_utterances(durations, group_ids)
        if group_weights is not None:
            group_weights = checked_weights(group_weights, group_ids)
        if seed < 0 or epoch < 0:
            raise UserError(f"Seed {seed} and epoch {epoch} must not be negative.")
        if len(durations) == 0:
            return []
        rng = np.random.default_rng([seed, epoch])
        return self.draw(durations, group_ids, rng, group_weights, num_batches)

    @abstractmethod
    def draw(
        self,
        durations: np.ndarray,
        group_ids: np.ndarray,
        rng: np.random.Generator,
        group_weights: np.ndarray | None,
        num_batches: int | None,
    ) -> Batches:
        """``plan`` with arguments that were looked at; there is at least one utterance."""


def checked_utterances(
    durations: Sequence[float], group_ids: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, (N,) of float64 seconds and (N,) of int64 ids."""
    seconds, groups = np.asarray(durations, dtype=np.float64), np.asarray(group_ids)
    if seconds.ndim != 1 or seconds.shape != groups.shape:
        raise UserError(
            f"{seconds.size} durations came with {groups.size} group ids. Give one of each an "
            "utterance."
        )
    bad = np.flatnonzero(~(np.isfinite(seconds) & (seconds > 0)))
    if len(bad):
        raise UserError(
            f"{len(bad)} utterances have no length (index {bad[0]}: {seconds[bad[0]]} s). Leave "
            "them out of the data."
        )
    ids = groups.astype(np.int64)
    bad = np.flatnonzero((ids != groups) | (ids < 0))
    if len(bad):
        raise UserError(
            f"Group ids are the numbers 0, 1, 2 ...; index {bad[0]} has {groups[bad[0]]}."
        )
    return seconds, ids


def checked_weights(group_weights: Sequence[float], group_ids: np.ndarray) -> np.ndarray:
    """The weights as (G,) of float64; what no batch can be drawn by is refused."""
    weights = np.asarray(group_weights, dtype=np.float64)
    num_groups = int(group_ids.max(initial=-1)) + 1
    if weights.ndim != 1 or len(weights) < num_groups:
        raise UserError(f"{weights.size} group weights for {num_groups} groups. Give one a group.")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise UserError(f"Group weights must be finite and not negative, not {weights.tolist()}.")
    if len(group_ids) and weights[np.unique(group_ids)].sum() <= 0:
        raise UserError("All groups that have utterances have weight 0. Raise the floor of q.")
    return weights
