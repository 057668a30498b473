"""What one batch adds to the figures of each group: a small matrix that is summed over ranks."""

import math

import torch

from asr_dro_plugin.errors import UserError

# Rows of the matrix.  The first six count finite losses only; SKIPPED counts the others.
LOSS, BATCHES, UTTERANCES, FRAMES, LABELS, SECONDS, SKIPPED = range(7)
NUM_ROWS = 7


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
    losses_B = losses_B.detach()
    finite_B = losses_B.abs() < math.inf
    values = losses_B.new_zeros((NUM_ROWS, len(losses_B)), dtype=torch.float64)
    values[LOSS] = losses_B.nan_to_num(0.0, 0.0, 0.0)
    values[UTTERANCES] = 1.0
    for row, given_B in ((FRAMES, num_frames_B), (LABELS, num_labels_B), (SECONDS, durations_B)):
        if given_B is not None:
            values[row] = given_B
    values *= finite_B
    values[SKIPPED] = ~finite_B
    totals = values.new_zeros((NUM_ROWS, num_groups))
    totals.scatter_add_(1, group_ids_B.long().expand(NUM_ROWS, -1), values)
    totals[BATCHES] = totals[UTTERANCES] > 0
    return totals
