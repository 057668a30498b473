"""ESPnet's iterator factory over a sampler's plan (``iterator_type: task``)."""

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import IteratorOptions
from torch.utils.data import DataLoader

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.batches.loaders import Batch, BatchDataset, as_is
from asr_dro_plugin.espnet.batches.planned_data import read_planned_data
from asr_dro_plugin.samplers import build_sampler
from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler, batches_of_rank
from asr_dro_plugin.samplers.describe import describe_plan


@dataclass(frozen=True)
class Cursor:
    """Where an epoch of ESPnet begins: a batch of the plan of a sampler epoch."""

    epoch: int
    sampler_epoch: int
    position: int


class PlannedIterFactory(AbsIterFactory):
    """Builds the loader of an epoch: the sampler's batches in the planned order.

    Without ``num_iters_per_epoch`` an epoch is a plan.  With it the plans of sampler epochs 1, 2,
    3 ... are one stream, and each epoch takes the next so many steps.

    Args:
        dataset, collate_fn: ESPnet's.
        utt_ids: (N,) names; durations: (N,) seconds; group_ids: (N,) ids 0..G-1.
        sampler: plans the batches of all ranks.
        seed: of the plans and of what loading draws.
        num_iters_per_epoch: steps an epoch, the same on every rank; None: the whole plan.
        num_workers, pin_memory: of torch's ``DataLoader``.
        rank, world_size: this process.  A rank without a batch in the last step gets an empty one,
            ``([], {})``.
        train: a dev set has one plan, the same every epoch.

    Attributes:
        group_weights: (G,) q where it acts on the sampling, to be set before ``build_iter``: the
            plan is then drawn from (seed, epoch, q).
    """

    def __init__(
        self,
        dataset: Any,
        utt_ids: Sequence[str],
        durations: Sequence[float],
        group_ids: Sequence[int],
        sampler: AbsBatchSampler,
        seed: int,
        num_iters_per_epoch: int | None = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        rank: int = 0,
        world_size: int = 1,
        train: bool = True,
    ) -> None:
        if len(utt_ids) == 0:
            raise UserError("There is no utterance to plan batches of. Check the shape file.")
        self.dataset, self.collate_fn = dataset, collate_fn or as_is
        self.utt_ids, self.sampler, self.seed, self.train = utt_ids, sampler, seed, train
        self.durations = np.asarray(durations, dtype=np.float64)
        self.group_ids = np.asarray(group_ids)
        self.num_iters_per_epoch = num_iters_per_epoch
        self.loader_options = {"num_workers": num_workers, "pin_memory": pin_memory}
        self.rank, self.world_size = rank, world_size
        self.group_weights: Sequence[float] | None = None
        self._cursor: Cursor | None = None
        self._planned: tuple[int, list[np.ndarray]] = (-1, [])

    def build_iter(self, epoch: int, shuffle: bool | None = None, skip: int = 0) -> DataLoader:
        """Loader of this rank's batches of an epoch, ``(utt_ids, batch)`` each.

        The epoch asked for last is built again as it was, the next one goes on after it, and any
        other is found by planning from the start.

        Args:
            epoch: from 1.
            shuffle: ESPnet's; the order is the sampler's business.
            skip: steps of the epoch that were done already.
        """
        epoch = epoch if self.train else 1
        self._cursor = self._start_of(epoch)
        own = batches_of_rank(self._batches_from(self._cursor), self.rank, self.world_size)
        steps = list(enumerate(own))[skip:]
        return self._loader(
            epoch, [(step * self.world_size + self.rank, self._named(b)) for step, b in steps]
        )

    def state_dict(self) -> dict:
        """Where the current epoch began, in plain numbers."""
        cursor = self._cursor or Cursor(0, 1, 0)
        weights = self.group_weights
        return {**vars(cursor), "group_weights": None if weights is None else list(weights)}

    def load_state_dict(self, state: dict) -> None:
        """Go on where ``state_dict`` was taken; the same number of ranks is not needed."""
        cursor = Cursor(*(int(state[key]) for key in ("epoch", "sampler_epoch", "position")))
        self._cursor = cursor if cursor.epoch > 0 else None
        self.group_weights = state["group_weights"]

    def plan(self) -> list[np.ndarray]:
        """The plan that the current epoch (before any, the first) begins in, of all ranks."""
        return self._plan_of(self._cursor.sampler_epoch if self._cursor else 1)

    def longest_batch(self) -> list[str]:
        """Names of the batch of ``plan`` that takes most memory, padding included."""
        longest = max(self.plan(), key=lambda batch: len(batch) * self.durations[batch].max())
        return self._named(longest)

    def _named(self, batch: np.ndarray) -> list[str]:
        return [self.utt_ids[index] for index in batch.tolist()]

    def load(self, utt_ids: Sequence[str]) -> Batch:
        """One batch outside of any epoch; draws nothing from the global generators.

        Where there are workers one of them loads it: a file that this process had opened would be
        inherited by all later ones, with one position between them.
        """
        return next(iter(self._loader(0, [(0, list(utt_ids))])))

    def _loader(self, epoch: int, items: Sequence[tuple[int, Sequence[str]]]) -> DataLoader:
        """Of batches: each its number among those of all ranks, and its utterances."""
        return DataLoader(
            BatchDataset(self.dataset, self.collate_fn, self.seed, epoch),
            batch_size=None,
            sampler=items,
            collate_fn=as_is,
            # Its own, for a loader draws a number from the global one each time it is started.
            generator=torch.Generator().manual_seed(self.seed),
            **self.loader_options,
        )

    @property
    def _num_batches(self) -> int | None:
        steps = self.num_iters_per_epoch
        return None if steps is None else steps * self.world_size

    def _start_of(self, epoch: int) -> Cursor:
        cursor = self._cursor
        if cursor is not None and cursor.epoch == epoch:
            return cursor
        if self._num_batches is None or self.group_weights is not None:
            return Cursor(epoch, epoch, 0)
        if cursor is None or cursor.epoch != epoch - 1:
            cursor = Cursor(1, 1, 0)
        number, position = cursor.sampler_epoch, cursor.position
        position += self._num_batches * (epoch - cursor.epoch)
        while position >= (length := len(self._plan_of(number))):
            number, position = number + 1, position - length
        return Cursor(epoch, number, position)

    def _batches_from(self, cursor: Cursor) -> list[np.ndarray]:
        """The epoch's batches, of all ranks."""
        number, wanted = cursor.sampler_epoch, self._num_batches
        batches = self._plan_of(number)[cursor.position :]
        if wanted is None or self.group_weights is not None:
            return batches
        while len(batches) < wanted:
            number += 1
            batches = batches + self._plan_of(number)
        return batches[:wanted]

    def _plan_of(self, sampler_epoch: int) -> list[np.ndarray]:
        weights = self.group_weights
        if weights is not None:
            return self.sampler.plan(
                self.durations, self.group_ids, self.seed, sampler_epoch, weights,
                self._num_batches,
            )  # fmt: skip
        if self._planned[0] != sampler_epoch:
            batches = self.sampler.plan(self.durations, self.group_ids, self.seed, sampler_epoch)
            self._planned = (sampler_epoch, batches)
        return self._planned[1]


def build_planned_factory(
    args: argparse.Namespace,
    iter_options: IteratorOptions,
    mode: str,
    build_dataset: Callable[..., Any],
) -> PlannedIterFactory:
    """The factory of ``iterator_type: task``, and one look at its plan for the log.

    Args:
        args: the task's; ``sampler``, ``sampler_conf``, ``groups``, ``seed``, ``num_workers``.
        iter_options: ESPnet's, for this mode.
        mode: ``train``, or ``valid``: every utterance once, the longest first, always the same.
        build_dataset: ESPnet's ``build_dataset(args, iter_options, keys_to_load)``.

    Raises:
        UserError: no group ids for a sampler that needs them, ids outside the groups.
    """
    conf = dict(args.sampler_conf or {})
    if mode == "train":
        sampler = build_sampler(args.sampler, **conf)
    else:
        conf = {key: conf[key] for key in ("duration",) if key in conf}
        sampler = build_sampler("sorted", **conf, shuffle=False)
    data = read_planned_data(iter_options, mode, args.groups, sampler.needs_groups)
    dataset = build_dataset(args, iter_options, set(data.utt_ids))
    data = data.without_what_lacks_data(dataset)
    distributed = iter_options.distributed
    factory = PlannedIterFactory(
        dataset,
        data.utt_ids,
        data.durations,
        data.group_ids,
        sampler,
        seed=args.seed,
        num_iters_per_epoch=iter_options.num_iters_per_epoch,
        num_workers=args.num_workers,
        collate_fn=iter_options.collate_fn,
        pin_memory=args.ngpu > 0,
        rank=torch.distributed.get_rank() if distributed else 0,
        world_size=torch.distributed.get_world_size() if distributed else 1,
        train=iter_options.train,
    )
    report(factory, mode, data.dropped)
    return factory


def report(factory: PlannedIterFactory, mode: str, dropped: Sequence[str]) -> None:
    """Log the first plan, what is longer than a batch, and what was left out and why."""
    stats = describe_plan(
        factory.plan(), factory.durations, factory.group_ids, factory.sampler.duration
    )
    logging.info("[%s] %s: %s", mode, type(factory.sampler).__name__, stats)
    if len(stats.over_long):
        longest = stats.over_long[factory.durations[stats.over_long].argmax()]
        logging.warning(
            "[%s] %d utterances are longer than the %g s of a batch, so each is alone in one "
            "(the longest: %s, %.1f s). Raise sampler_conf.duration, or leave them out.",
            mode, len(stats.over_long), stats.duration, factory.utt_ids[longest],
            factory.durations[longest],
        )  # fmt: skip
    for line in dropped:
        logging.warning("[%s] %s", mode, line)
