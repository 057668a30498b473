"""``group_duration``: every utterance once an epoch, one group a batch, about d seconds each.

The length-matched batches that CTC-DRO asks for (Bartelds et al. 2026, arXiv:2502.01777, section
4.1): the loss of a batch then says how hard its group is, not how long its utterances are.
"""

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.drawing import batches_by_share, every_batch_once
from asr_dro_plugin.samplers.packing import Batches


class GroupDurationSampler(AbsBatchSampler):
    """Every utterance once; with ``group_weights``, groups in their proportion."""

    def __init__(self, duration: float = 50.0) -> None:
        super().__init__(duration)

    def draw(
        self,
        durations: np.ndarray,
        group_ids: np.ndarray,
        rng: np.random.Generator,
        group_weights: np.ndarray | None,
        num_batches: int | None,
    ) -> Batches:
        """See ``AbsBatchSampler.plan``."""
        if group_weights is not None:
            return batches_by_share(
                durations, group_ids, group_weights, self.duration, rng, num_batches
            )
        if num_batches is not None:
            raise UserError(
                "group_duration gives every utterance once, so the data decide the number of "
                "batches. Leave num_batches out, or set sampler balanced or temperature."
            )
        return every_batch_once(durations, group_ids, self.duration, rng)
