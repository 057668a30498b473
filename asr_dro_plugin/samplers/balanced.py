"""``balanced``: equally many batches of every group, the rare ones repeated."""

import numpy as np

from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.drawing import batches_by_share
from asr_dro_plugin.samplers.packing import Batches


class BalancedSampler(AbsBatchSampler):
    """Groups in equal parts.

    Args:
        duration: d, seconds.
        num_batches: batches an epoch; None: about as many as hold the data once.
    """

    def __init__(self, duration: float = 50.0, num_batches: int | None = None) -> None:
        super().__init__(duration)
        self.num_batches = num_batches

    def draw(
        self,
        durations: np.ndarray,
        group_ids: np.ndarray,
        rng: np.random.Generator,
        group_weights: np.ndarray | None,
        num_batches: int | None,
    ) -> Batches:
        """See ``AbsBatchSampler.plan``."""
        shares = np.ones(int(group_ids.max()) + 1) if group_weights is None else group_weights
        number = self.num_batches if num_batches is None else num_batches
        return batches_by_share(durations, group_ids, shares, self.duration, rng, number)
