"""Plain training (empirical risk minimisation): every utterance counts alike."""

import torch

from asr_dro_plugin.objectives.abs_objective import AbsObjective


class CTC(AbsObjective):
    """Mean of the losses: what ESPnet's CTC minimises, with the figures by group beside it."""

    weighs_loss = False

    @property
    def group_weights(self) -> torch.Tensor:
        """Uniform, whatever the state of a model that was trained with others before."""
        return torch.full_like(self.relative_weights, 1 / self.num_groups, dtype=torch.float32)
