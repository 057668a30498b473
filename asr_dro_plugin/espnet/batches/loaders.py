"""Batches of an epoch from a position on, whatever kind of iterator ESPnet builds, and how ours are
loaded: what is drawn on the way depends on the batch alone."""

import contextlib
import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader, Dataset

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.randomness import RandomState
from asr_dro_plugin.espnet.process.signals import leave_signals_to_parent, start_workers

Batch = tuple[list[str], dict[str, torch.Tensor]]


@contextlib.contextmanager
def drawn_from(*seeds: int) -> Iterator[None]:
    """Seed the global generators of random, numpy and torch (CPU) here, and put them back after."""
    before = RandomState.now()
    words = np.random.SeedSequence(seeds).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])  # noqa: NPY002 the legacy one, which ESPnet's preprocessors draw from
    torch.default_generator.manual_seed(words[2])  # torch.manual_seed would seed the GPU too
    try:
        yield
    finally:
        before.restore()


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


def as_is(item: Batch) -> Batch:
    """A batch is collated already; torch's own default would convert it."""
    return item


def batches_from(factory: AbsIterFactory, epoch: int, skip: int = 0) -> Iterable:
    """The iterator of an epoch without its first ``skip`` batches.

    Our own factory plans past them and ESPnet's loaders of listed batches are cut; any other
    iterator is run through them.  What ESPnet's own iterators draw while they load (noise, room
    responses) goes on differently after a cut; our factory draws it from the batch's number.
    """
    if "skip" in inspect.signature(factory.build_iter).parameters:
        iterator = factory.build_iter(epoch, skip=skip)
        skip = 0
    else:
        iterator = factory.build_iter(epoch)
    if isinstance(iterator, DataLoader):
        if skip and isinstance(iterator.batch_sampler, list):
            iterator, skip = _cut(iterator, skip), 0
        iterator.worker_init_fn = functools.partial(_worker_init, iterator.worker_init_fn)
    return islice(start_workers(iterator), skip, None) if skip else iterator


def next_batch(source: Iterator) -> Any:
    """The next batch, or None; a worker's ``UserError`` is its own line again.

    torch hands on a worker's exception with its whole traceback as the message.
    """
    try:
        return next(source, None)
    except UserError as error:
        _, _, line = str(error).rpartition("UserError: ")
        raise UserError(line.strip()) from None


def num_batches(iterator: Iterable) -> int | None:
    """Length of an iterator, where it knows it."""
    try:
        return len(iterator)  # type: ignore[arg-type]
    except TypeError:
        return None


def _cut(loader: DataLoader, skip: int) -> DataLoader:
    """The same loader over the batches after the first ``skip``."""
    return DataLoader(
        dataset=loader.dataset,
        batch_sampler=loader.batch_sampler[skip:],
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
    )


def _worker_init(inner: Callable[[int], Any] | None, worker_id: int) -> None:
    leave_signals_to_parent()
    if inner is not None:
        inner(worker_id)
