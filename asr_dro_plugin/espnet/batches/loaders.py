"""Batches of an epoch from a given position on, whatever kind of iterator ESPnet builds."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.signals import leave_signals_to_parent


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
    return islice(iterator, skip, None) if skip else iterator


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
