"""Loading planned batches so that what is drawn on the way depends on the batch alone."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from asr_dro_plugin.errors import UserError

Batch = tuple[list[str], dict[str, torch.Tensor]]


@contextlib.contextmanager
def drawn_from(*seeds: int) -> Iterator[None]:
    """Seed the global generators of random, numpy and torch (CPU) here, and put them back after."""
    # numpy's global generator is the legacy one, and ESPnet's preprocessors draw from it.
    before_numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    before, before_torch = random.getstate(), torch.get_rng_state()
    words = np.random.SeedSequence(seeds).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])  # noqa: NPY002
    torch.default_generator.manual_seed(words[2])  # torch.manual_seed would seed the GPU too
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002
        torch.set_rng_state(before_torch)


class BatchDataset(Dataset):
    """A dataset whose item is a whole batch: ``[(number, utt_ids)] -> (utt_ids, batch)``.

    Whatever augmentation draws follows from (seed, epoch, number), not from the process that loads
    the batch nor from what was loaded before: a resumed epoch, with any number of workers, goes on
    as it would have.

    Args:
        dataset: ``dataset[utt_id] -> (utt_id, arrays by name)``, as ESPnet's.
        collate_fn: list of those -> (utt_ids, padded tensors by name).
        seed, epoch: not negative.
    """

    def __init__(self, dataset: Any, collate_fn: Callable, seed: int, epoch: int) -> None:
        self.dataset, self.collate_fn = dataset, collate_fn
        self.seed, self.epoch = seed, epoch

    def __getitem__(self, item: tuple[int, Sequence[str]]) -> Batch:
        number, utt_ids = item
        if not utt_ids:  # another rank's last batch
            return [], {}
        with drawn_from(self.seed, self.epoch, number):
            return self.collate_fn([self._load(utt_id) for utt_id in utt_ids])

    def _load(self, utt_id: str) -> Any:
        """One utterance; an error names it (a reader's own may not even survive the way here)."""
        try:
            return self.dataset[utt_id]
        except Exception as error:
            raise UserError(
                f"Utterance {utt_id} cannot be loaded ({type(error).__name__}: {error}). Look at "
                "its line of wav.scp and text, or make the dump again (stage 3)."
            ) from error


class EpochSteps:
    """The items of one rank's epoch, made when they are asked for.

    Args:
        utt_ids: (N,) names.
        batches: indices into ``utt_ids``, one array a step.
        skip: steps that were done already.
        rank, world_size: the batch of step s is number s * world_size + rank of all.
    """

    def __init__(
        self, utt_ids: Sequence[str], batches: Sequence[np.ndarray], skip: int = 0, rank: int = 0,
        world_size: int = 1,
    ) -> None:  # fmt: skip
        self.utt_ids, self.batches, self.skip = utt_ids, batches, skip
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return max(0, len(self.batches) - self.skip)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for step in range(self.skip, len(self.batches)):
            names = [self.utt_ids[index] for index in self.batches[step].tolist()]
            yield step * self.world_size + self.rank, names


def as_is(item: Batch) -> Batch:
    """A batch is collated already; torch's own default would convert it."""
    return item
