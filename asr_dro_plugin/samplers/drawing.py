"""Batches of one group each: all of them once, or as many as a group is to have."""

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers.interleave import interleave
from asr_dro_plugin.samplers.packing import Batches, pack


def every_batch_once(
    durations: np.ndarray, group_ids: np.ndarray, limit: float, rng: np.random.Generator
) -> Batches:
    """Every utterance once, groups interleaved evenly."""
    members = members_of(group_ids)
    return in_turn([_one_pass(durations, one, limit, rng) for one in members], rng)


def batches_by_share(
    durations: np.ndarray,
    group_ids: np.ndarray,
    share_G: np.ndarray,
    limit: float,
    rng: np.random.Generator,
    num_batches: int | None = None,
    max_repeats: int | None = None,
) -> Batches:
    """``num_batches`` batches, from the groups in the proportion of ``share_G``.

    A group's batches are drawn without replacement until all its utterances were used, then packed
    anew.  A group that ``max_repeats`` passes do not suffice for leaves its part to the others.

    Args:
        durations, group_ids: (N,); share_G: (G,), not negative, need not sum to 1.
        num_batches: None: the seconds of all groups over ``limit``, each rounded up.
        max_repeats: how often an utterance may occur; None: as often as need be.
    """
    if num_batches is not None and num_batches < 1:
        raise UserError(f"num_batches is {num_batches}; an epoch has at least one batch.")
    seconds_G = np.bincount(group_ids, durations, minlength=len(share_G))
    once_G = np.ceil(seconds_G / limit)
    most_G = np.inf if max_repeats is None else once_G * max_repeats
    cap_G = np.where(once_G > 0, most_G, 0.0)
    wanted_G = capped_shares(share_G, cap_G, num_batches or once_G.sum())
    counts_G = rounded(wanted_G, rng)
    members = members_of(group_ids, len(share_G))
    return in_turn(
        [_drawn(durations, one, int(n), limit, rng) for one, n in zip(members, counts_G)], rng
    )


def members_of(group_ids: np.ndarray, num_groups: int = 0) -> list[np.ndarray]:
    """Indices of each group's utterances, by group id."""
    order = np.argsort(group_ids, kind="stable")
    ends = np.cumsum(np.bincount(group_ids, minlength=num_groups))
    return np.split(order, ends[:-1])


def capped_shares(share_G: np.ndarray, cap_G: np.ndarray, total: float) -> np.ndarray:
    """``total`` dealt out in proportion to ``share_G``, no group above its cap while others can
    take more; a smaller sum only when all are at their caps."""
    dealt_G, is_open = np.zeros(len(share_G)), (share_G > 0) & (cap_G > 0)
    while is_open.any():
        rest = total - dealt_G[~is_open].sum()
        dealt_G[is_open] = rest * (share_G[is_open] / share_G[is_open].sum())
        is_over = is_open & (dealt_G > cap_G)
        if not is_over.any():
            break
        dealt_G[is_over] = cap_G[is_over]
        is_open &= ~is_over
    return dealt_G


def rounded(wanted_G: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers with these expectations and their sum, each less than 1 away.

    Systematic sampling: a group that deserves a tenth of a batch gets one in an epoch of ten.
    """
    order = rng.permutation(len(wanted_G))
    ends = np.cumsum(wanted_G[order])
    # The offset stays off 0 and 1, so that a sum that is whole but for rounding stays that number.
    marks = np.floor(np.append(0.0, ends) + rng.uniform(1e-6, 1 - 1e-6))
    counts = np.empty(len(wanted_G), dtype=np.int64)
    counts[order] = np.diff(marks)
    return counts


def in_turn(batches_G: list[Batches], rng: np.random.Generator) -> Batches:
    """The batches of all groups, each group's in the order given, interleaved evenly."""
    turns = interleave(np.array([len(batches) for batches in batches_G]), rng)
    rows = [iter(batches) for batches in batches_G]
    return [next(rows[group]) for group in turns.tolist()]


def _one_pass(
    durations: np.ndarray, members: np.ndarray, limit: float, rng: np.random.Generator
) -> Batches:
    if len(members) == 0:
        return []
    batches = pack(durations[members], limit, rng)
    return [members[batches[number]] for number in rng.permutation(len(batches))]


def _drawn(
    durations: np.ndarray, members: np.ndarray, count: int, limit: float, rng: np.random.Generator
) -> Batches:
    batches: Batches = []
    while len(batches) < count:
        batches += _one_pass(durations, members, limit, rng)[: count - len(batches)]
    return batches
