"""``balanced``: equally many batches of every group, the rare ones repeated."""

from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.drawing import batches_by_share
from asr_dro_plugin.samplers.packing import Batches


@dataclass(kw_only=True)
class BalancedSampler(AbsBatchSampler):
    """Groups in equal parts.

    Args:
        num_batches: batches an epoch; None: about as many as hold the data once.
    """

    num_batches: int | None = None

    def draw(
        self, durations: np.ndarray, group_ids: np.ndarray, rng: np.random.Generator
    ) -> Batches:
        """See ``AbsBatchSampler``."""
        shares = np.ones(int(group_ids.max()) + 1)
        return batches_by_share(durations, group_ids, shares, self.duration, rng, self.num_batches)
