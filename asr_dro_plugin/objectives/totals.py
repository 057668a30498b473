"""What one batch adds to the figures of each group: a small matrix that is summed over ranks."""

import numpy as np
import torch
import torch.distributed as dist

from asr_dro_plugin.errors import UserError

# Rows of the matrix.  All count finite losses only, but SKIPPED, which counts the others.
LOSS, UTTERANCES, SKIPPED, FRAMES, LABELS, SECONDS, BATCHES = range(7)
NUM_ROWS = 7
LOGGED = {
    "utterances": UTTERANCES, "batches": BATCHES, "frames": FRAMES, "labels": LABELS,
    "seconds": SECONDS, "skipped": SKIPPED,
}  # fmt: skip


def sum_by_group(
    losses_B: torch.Tensor,
    group_ids_B: torch.Tensor,
    num_groups: int,
    *,
    durations_B: torch.Tensor | None = None,
    num_frames_B: torch.Tensor | None = None,
    num_labels_B: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sums of a batch by group: float64 (7, G), rows as named above, detached.

    Args:
        losses_B: loss of each utterance in nats; NaN or infinite ones enter SKIPPED only.
        group_ids_B: 0..G-1.
        durations_B: seconds.  What is not given stays zero.
    """
    if group_ids_B.shape != losses_B.shape or losses_B.ndim != 1:
        raise UserError(
            f"losses_B {tuple(losses_B.shape)} and group_ids_B {tuple(group_ids_B.shape)} must be "
            "two vectors of one length."
        )
    given = {FRAMES: num_frames_B, LABELS: num_labels_B, SECONDS: durations_B}
    given = {row: given_B.detach() for row, given_B in given.items() if given_B is not None}
    sums = sum_on_host if losses_B.is_cpu else sum_on_device
    return sums(losses_B.detach(), group_ids_B, num_groups, given)


def sum_on_device(
    losses_B: torch.Tensor, group_ids_B: torch.Tensor, num_groups: int, given: dict
) -> torch.Tensor:
    """The sums where no value may be read."""
    losses_B = losses_B.double()
    clean_B = losses_B.nan_to_num(0.0, 0.0, 0.0)
    finite_B = (clean_B == losses_B).double()
    totals = clean_B.new_zeros((NUM_ROWS, num_groups))
    rows = totals.unbind()
    rows[LOSS].index_add_(0, group_ids_B, clean_B)
    rows[UTTERANCES].index_add_(0, group_ids_B, finite_B)
    rows[SKIPPED].index_add_(0, group_ids_B, 1 - finite_B)
    for row, given_B in given.items():
        rows[row].index_add_(0, group_ids_B, given_B * finite_B)
    torch.clamp(rows[UTTERANCES], max=1.0, out=rows[BATCHES])
    return totals


def sum_on_host(
    losses_B: torch.Tensor, group_ids_B: torch.Tensor, num_groups: int, given: dict
) -> torch.Tensor:
    """The same through numpy, which starts an operation in a fraction of torch's time."""
    if losses_B.dtype == torch.bfloat16:  # which numpy does not know
        losses_B = losses_B.float()
    columns = {LOSS: losses_B.numpy()} | {row: x_B.numpy() for row, x_B in given.items()}
    ids_B, finite_B = group_ids_B.numpy(), np.isfinite(columns[LOSS])
    totals = np.zeros((NUM_ROWS, num_groups))
    try:
        if np.count_nonzero(finite_B) < len(finite_B):
            totals[SKIPPED] = np.bincount(ids_B[~finite_B], minlength=num_groups)
            columns = {row: values_B[finite_B] for row, values_B in columns.items()}
            ids_B = ids_B[finite_B]
        totals[UTTERANCES] = np.bincount(ids_B, minlength=num_groups)
        for row, values_B in columns.items():
            totals[row] = np.bincount(ids_B, values_B, num_groups)
    except ValueError:
        raise UserError(
            f"A group id is outside 0..{num_groups - 1}: {sorted(set(group_ids_B.tolist()))}. "
            "Build the objective for all groups of the data."
        ) from None
    np.minimum(totals[UTTERANCES], 1.0, out=totals[BATCHES])
    return torch.from_numpy(totals)


def sum_over_ranks(totals: torch.Tensor) -> torch.Tensor:
    """Sum in place over all ranks of a distributed run; as it is where there is one process."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(totals)
    return totals
