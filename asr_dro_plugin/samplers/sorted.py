"""``sorted``: utterances of about equal length in a batch, whatever their groups."""

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.packing import Batches, pack


class SortedSampler(AbsBatchSampler):
    """Every utterance once, groups mixed.

    Args:
        duration: d, seconds.
        shuffle: draw the batches and their order anew each epoch; without it they are always the
            same, the longest utterances first.
    """

    def __init__(self, duration: float = 50.0, shuffle: bool = True) -> None:
        super().__init__(duration)
        self.shuffle = shuffle

    def draw(
        self,
        durations: np.ndarray,
        group_ids: np.ndarray,
        rng: np.random.Generator,
        group_weights: np.ndarray | None,
        num_batches: int | None,
    ) -> Batches:
        """See ``AbsBatchSampler.plan``."""
        if group_weights is not None or num_batches is not None:
            raise UserError(
                "sorted mixes the groups and gives every utterance once, so it cannot draw batches "
                "by group. Set sampler group_duration, or acts_on: loss."
            )
        if not self.shuffle:
            return sorted(pack(durations, self.duration), key=lambda batch: -durations[batch].max())
        batches = pack(durations, self.duration, rng)
        return [batches[number] for number in rng.permutation(len(batches))]
