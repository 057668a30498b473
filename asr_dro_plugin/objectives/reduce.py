"""Sums over the ranks of a distributed run."""

import torch
import torch.distributed as dist


def reduce_totals(totals: torch.Tensor) -> torch.Tensor:
    """Sum in place over all ranks; as it is where there is one process."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(totals)
    return totals
