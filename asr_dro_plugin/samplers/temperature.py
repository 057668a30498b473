"""``temperature``: groups in the proportion of a root of their size.

p_g ~ n_g^(1/tau) (Arivazhagan et al. 2019, arXiv:1907.05019): tau 1 keeps the proportion of the
data, a large tau approaches equal parts.
"""

from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.base.settings import check_number
from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.drawing import batches_by_share
from asr_dro_plugin.samplers.packing import Batches


@dataclass(kw_only=True)
class TemperatureSampler(AbsBatchSampler):
    """Groups by a root of their seconds of speech.

    Args:
        tau: temperature, at least 1.
        max_repeats: how often an utterance may occur in an epoch; what a group may not have
            because of it goes to the others.
        num_batches: batches an epoch; None: about as many as hold the data once.
    """

    tau: float = 5.0
    max_repeats: int = 10
    num_batches: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("sampler_conf.tau", self.tau, least=1)
        check_number("sampler_conf.max_repeats", self.max_repeats, whole=True, least=1)

    def draw(
        self, durations: np.ndarray, group_ids: np.ndarray, rng: np.random.Generator
    ) -> Batches:
        """See ``AbsBatchSampler``."""
        seconds_G = np.bincount(group_ids, durations)
        shares = seconds_G ** (1 / self.tau) * (seconds_G > 0)
        return batches_by_share(
            durations, group_ids, shares, self.duration, rng, self.num_batches, self.max_repeats
        )
