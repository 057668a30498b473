"""What a sampler is, a pure plan from lengths and groups to batches; a process's share of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.base.settings import check_number
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers.checks import checked_weights
from asr_dro_plugin.samplers.drawing import batches_by_share
from asr_dro_plugin.samplers.packing import Batches

EMPTY = np.zeros(0, dtype=np.int64)


@dataclass(kw_only=True)
class AbsBatchSampler(ABC):
    """Plans the batches of an epoch, for all ranks together.

    A member is a dataclass whose fields are its settings, and says in ``draw`` what it draws.

    Args:
        duration: d, seconds of speech a batch is filled to and never exceeds, except by one
            utterance that is longer and then alone.
    """

    duration: float = 50.0

    needs_groups = True  # a batch holds one group; False: whatever its groups
    num_batches = None  # of an epoch; None: about what the data hold
    max_repeats = None  # of an utterance in an epoch; None: as need be

    def __post_init__(self) -> None:
        check_number("sampler_conf.duration", self.duration, above=0)

    def plan(
        self,
        durations: Sequence[float],
        group_ids: Sequence[int],
        seed: int,
        epoch: int,
        group_weights: Sequence[float] | None = None,
        num_batches: int | None = None,
    ) -> Batches:
        """The batches of one epoch in their order, the same for the same arguments.

        Args:
            durations: (N,) seconds, above 0.
            group_ids: (N,) ids 0..G-1; some may have no utterance.
            seed, epoch: what the plan is drawn from; no other generator is touched.
            group_weights: (G,) q; batches are drawn from the groups in this proportion (``acts_on:
                sampling``), with repeats, in place of the sampler's own.
            num_batches: how many are drawn with ``group_weights``; None: the sampler's own number.

        Returns:
            Arrays of indices into ``durations``, none of them empty.

        Raises:
            UserError: weights, seed or epoch that no plan can be made of.
        """
        durations = np.asarray(durations, dtype=np.float64)
        group_ids = np.asarray(group_ids, dtype=np.int64)
        if seed < 0 or epoch < 0:
            raise UserError(f"Seed {seed} and epoch {epoch} must not be negative.")
        rng = np.random.default_rng([seed, epoch])
        if group_weights is None:
            return self.draw(durations, group_ids, rng) if len(durations) else []
        if not self.needs_groups:
            raise UserError(
                f"{type(self).__name__} mixes the groups and gives every utterance once, so it "
                "cannot draw batches by group. Set sampler group_duration, or acts_on: loss."
            )
        return batches_by_share(
            durations, group_ids, checked_weights(group_weights, group_ids), self.duration, rng,
            self.num_batches if num_batches is None else num_batches, self.max_repeats,
        )  # fmt: skip

    @abstractmethod
    def draw(
        self, durations: np.ndarray, group_ids: np.ndarray, rng: np.random.Generator
    ) -> Batches:
        """``plan`` by the sampler's own rule; there is at least one utterance."""


def batches_of_rank(
    batches: list[np.ndarray], rank: int = 0, world_size: int = 1
) -> list[np.ndarray]:
    """Batches of one of ``world_size`` ranks, equally many for each.

    Rank r has batch s * world_size + r at step s.  Where the last step has fewer batches than ranks
    the others get an empty one: it has no weight, but nobody waits and nothing is dropped.
    """
    if world_size < 1:
        raise UserError(f"world_size is {world_size}: at least one process trains.")
    if not 0 <= rank < world_size:
        raise UserError(f"Rank {rank} is not one of {world_size} (0..{world_size - 1}).")
    own = batches[rank::world_size]
    return own + [EMPTY] * (-(-len(batches) // world_size) - len(own))
