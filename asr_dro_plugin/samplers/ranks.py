"""The share of one process in a plan."""

import numpy as np

from asr_dro_plugin.errors import UserError

EMPTY = np.zeros(0, dtype=np.int64)


def batches_of_rank(
    batches: list[np.ndarray], rank: int = 0, world_size: int = 1
) -> list[np.ndarray]:
    """Batches of one of ``world_size`` ranks, equally many for each.

    Rank r has batch s * world_size + r at step s.  Where the last step has fewer batches than ranks
    the others get an empty one: it has no weight, but nobody waits and nothing is dropped.
    """
    if world_size < 1:
        raise UserError(f"world_size is {world_size}: at least one process trains.")
    if not 0 <= rank < world_size:
        raise UserError(f"Rank {rank} is not one of {world_size} (0..{world_size - 1}).")
    own = batches[rank::world_size]
    return own + [EMPTY] * (-(-len(batches) // world_size) - len(own))
