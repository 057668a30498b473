"""Plain training (empirical risk minimisation): every utterance counts alike."""

from collections.abc import Sequence

import torch

from asr_dro_plugin.objectives.abs_objective import AbsObjective


class CTC(AbsObjective):
    """Mean of the losses: what ESPnet's CTC minimises, with the figures by group beside it.

    Keys: see ``group_weighting.GroupWeighting``.
    """

    weighs_loss = False

    def __init__(
        self,
        num_groups: int,
        *,
        reduction: str = "utterance",
        length_norm: str = "none",
        duration: float = 50.0,
        group_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            num_groups,
            reduction=reduction,
            length_norm=length_norm,
            duration=duration,
            group_names=group_names,
        )

    @property
    def group_weights(self) -> torch.Tensor:
        """Uniform, whatever the state of a model that was trained with others before."""
        return torch.full_like(self.relative_weights, 1 / self.num_groups, dtype=torch.float32)
