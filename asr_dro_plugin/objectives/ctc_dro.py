"""CTC-DRO: the larger a group's weight, the less its loss moves it."""

import torch

from asr_dro_plugin.objectives.checks import absolute_or_relative
from asr_dro_plugin.objectives.group_weighting import GroupWeighting


class CTCDRO(GroupWeighting):
    """log q_g grows by step_size * loss_g / (q_g + smoothing); no group ends with all the weight.

    ``smoothing`` is alpha; ``smoothing_rel`` (0.6) gives alpha = smoothing_rel / G.
    Source: Bartelds et al. 2025 (arXiv:2502.01777), algorithm 1.
    """

    def __init__(
        self,
        num_groups: int,
        *,
        smoothing: float | None = None,
        smoothing_rel: float | None = None,
        **keys,
    ) -> None:
        super().__init__(num_groups, **keys)
        alpha, relative = absolute_or_relative("smoothing", smoothing, smoothing_rel, 0.6)
        self.smoothing = relative / num_groups if alpha is None else alpha

    def step(
        self, q_G: torch.Tensor, loss_G: torch.Tensor, step_size: float | torch.Tensor
    ) -> torch.Tensor:
        """What is added to log q before softmax, float64 (G,)."""
        return loss_G / (q_G + self.smoothing) * step_size
