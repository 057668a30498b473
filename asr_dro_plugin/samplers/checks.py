"""Lengths, group ids and weights that no plan can be made of."""

from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.errors import UserError


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
