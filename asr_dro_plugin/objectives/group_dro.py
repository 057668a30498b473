"""Group DRO: the loss of a group moves its weight, whatever the weight is."""

import torch

from asr_dro_plugin.objectives.group_weighting import GroupWeighting


class GroupDRO(GroupWeighting):
    """log q_g grows by step_size * loss_g; the worst group ends with nearly all the weight.

    Classic group DRO has ``update: batch``.
    Source: Sagawa et al. 2020 (arXiv:1911.08731), algorithm 1.
    """

    def step(
        self, q_G: torch.Tensor, loss_G: torch.Tensor, step_size: float | torch.Tensor
    ) -> torch.Tensor:
        """What is added to log q before softmax, float64 (G,)."""
        return loss_G * step_size
