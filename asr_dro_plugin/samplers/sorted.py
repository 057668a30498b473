"""``sorted``: utterances of about equal length in a batch, whatever their groups."""

from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.packing import Batches, pack


@dataclass(kw_only=True)
class SortedSampler(AbsBatchSampler):
    """Every utterance once, groups mixed.

    Args:
        shuffle: draw the batches and their order anew each epoch; without it they are always the
            same, the longest utterances first.
    """

    shuffle: bool = True

    needs_groups = False

    def draw(
        self, durations: np.ndarray, group_ids: np.ndarray, rng: np.random.Generator
    ) -> Batches:
        """See ``AbsBatchSampler``."""
        if not self.shuffle:
            return sorted(pack(durations, self.duration), key=lambda batch: -durations[batch].max())
        batches = pack(durations, self.duration, rng)
        return [batches[number] for number in rng.permutation(len(batches))]
