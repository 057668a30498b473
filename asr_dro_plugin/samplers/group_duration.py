"""``group_duration``: every utterance once an epoch, one group a batch, about d seconds each.

The length-matched batches that CTC-DRO asks for (Bartelds et al. 2026, arXiv:2502.01777, section
4.1): the loss of a batch then says how hard its group is, not how long its utterances are.
"""

from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.drawing import every_batch_once
from asr_dro_plugin.samplers.packing import Batches


@dataclass(kw_only=True)
class GroupDurationSampler(AbsBatchSampler):
    """Every utterance once, the groups' batches in turn."""

    def draw(
        self, durations: np.ndarray, group_ids: np.ndarray, rng: np.random.Generator
    ) -> Batches:
        """See ``AbsBatchSampler``."""
        return every_batch_once(durations, group_ids, self.duration, rng)
