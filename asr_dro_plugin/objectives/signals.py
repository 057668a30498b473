"""The signal that moves q: what is held to be a group's loss, one function each.

Each takes the totals that are pending since the last update (rows of ``totals``) and gives one
number a group, NaN for a group that is not among them.
"""

import torch

from asr_dro_plugin.objectives.totals import BATCHES, FRAMES, LABELS, LOSS, UTTERANCES

# Row that counts how often a group was seen, by signal.
COUNT_ROWS = {"frames": FRAMES, "labels": LABELS}
NEEDS = {"frames": ("frames",), "labels": ("labels", "durations")}
AGG_ROWS = {"sum": BATCHES, "mean": UTTERANCES}


def sum_signal(pending: torch.Tensor, agg: str) -> torch.Tensor:
    """Mean over batches of the summed loss (``agg: sum``, published), or over utterances."""
    return pending[LOSS] / pending[AGG_ROWS[agg]]


def frames_signal(pending: torch.Tensor) -> torch.Tensor:
    """Loss per encoder frame: a slow language is not an easy one."""
    return pending[LOSS] / pending[FRAMES]


def labels_signal(pending: torch.Tensor, labels_per_batch: torch.Tensor) -> torch.Tensor:
    """Loss per label, times the mean labels of a batch's seconds over all groups.

    The factor is common to all groups: with it, step sizes tuned for ``sum`` stay comparable.
    """
    return pending[LOSS] / pending[LABELS] * labels_per_batch


def excess_signal(pending: torch.Tensor, agg: str, reference_G: torch.Tensor) -> torch.Tensor:
    """What could still be gained: the loss above that of a reference run, never below zero.

    Source: DoReMi, Xie et al. 2023 (arXiv:2305.10429).
    """
    return (sum_signal(pending, agg) - reference_G).clamp(min=0.0)


def dev_cer_signal(cer_G: torch.Tensor) -> torch.Tensor:
    """The CER of the last validation: what is optimised is what is reported.

    An infinite one (the model gave NaN for an utterance) counts as the worst of the finite ones:
    the group is among the worst, but by how much nobody knows.
    """
    cer_G = cer_G.double()
    worst = cer_G.nan_to_num(-1.0, -1.0, -1.0).amax()
    cer_G = torch.where(cer_G == float("inf"), worst, cer_G)
    return torch.where(cer_G >= 0, cer_G, float("nan"))
