"""A pass over the validation set: ESPnet's stats, and the figures of each group.

Before the first step, what would crash after a night crashes now: a few batches of validation
compute every metric and name every criterion that is not reported; the longest planned batch shows
whether memory suffices.  Nothing of either is kept.
"""

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable

import torch
from espnet2.torch_utils.device_funcs import to_device
from espnet2.train.reporter import SubReporter

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.espnet.batches.loaders import batches_from, next_batch
from asr_dro_plugin.espnet.process.distributed import Ranks, weighted_means
from asr_dro_plugin.espnet.process.signals import start_workers
from asr_dro_plugin.espnet.run.oom_retry import in_fitting_pieces, split
from asr_dro_plugin.espnet.run.reporter import DROReporter
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.steps import loss_stats_weight, mixed_precision
from asr_dro_plugin.espnet.run.updates import untimed

NAMED = 5  # hypotheses in a line of the log


@torch.no_grad()
def validate(
    model: torch.nn.Module,
    iterator: Iterable,
    reporter: SubReporter,
    ranks: Ranks,
    options,
    after_batch: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Run the model in evaluation mode over all batches.

    Args:
        after_batch: called between batches; may raise to stop.

    Returns:
        Figures of the whole set by group (``worst_group_cer`` and so on); empty for a model
        without groups.
    """
    model.eval()
    scores = getattr(model, "validation", None)
    if scores is not None:
        scores.reset()
    source = start_workers(iterator)
    while True:
        item = next_batch(source)
        (num_left,) = ranks.sum_host([item is not None])
        if not num_left:
            break
        stats, weight = _validate_batch(model, item, options) if item and item[0] else ({}, 0.0)
        if ranks.world_size > 1:
            stats, weight = ranks.mean_stats(stats, weight)
        if not options.no_forward_run:
            reporter.register(stats, weight)
            reporter.next()
        after_batch()
    if scores is None:
        return {}
    sums = torch.tensor(ranks.sum_host(scores.sums.reshape(-1).tolist()), dtype=torch.float64)
    scores.sums = sums.reshape(scores.sums.shape).numpy()
    if scores.num_ended_early:
        some = " ".join(sorted(scores.ended_early)[:NAMED])
        logging.warning(
            "%d of %d hypotheses were ended early, for they repeated themselves or were longer "
            "than can be said in their time: %s ...", scores.num_ended_early,
            int(scores.num_utts_G.sum()), some,
        )  # fmt: skip
    return scores.stats(model.group_map.names)


def _validate_batch(model: torch.nn.Module, item: tuple, options) -> tuple[dict, torch.Tensor]:
    """Stats and weight of a batch, in pieces where it does not fit into memory."""
    utt_ids, batch = item
    batch = to_device({**batch, "utt_id": list(utt_ids)}, "cuda" if options.ngpu > 0 else "cpu")
    if options.no_forward_run:
        return {}, torch.zeros(1)
    scores = getattr(model, "validation", None)
    before = None if scores is None else scores.sums.copy()

    def work(num_pieces: int) -> list[tuple[dict, torch.Tensor]]:
        if scores is not None:
            scores.sums = before.copy()  # what a failed attempt has counted
        with mixed_precision(options.use_amp):
            return [loss_stats_weight(model(**piece))[1:] for piece in split(batch, num_pieces)]

    results, _ = in_fitting_pieces(work, batch)
    return results[0] if len(results) == 1 else weighted_means(results)


def check_criteria(criteria: Iterable, keys: Iterable[str], phase: str = "valid") -> None:
    """Refuse a criterion that validation does not report, before a night is spent on training.

    Args:
        criteria: (phase, key, mode) or None, as in ``best_model_criterion``.
        keys: what a pass over some batches has reported.
    """
    keys = sorted(set(keys))
    for criterion in filter(None, criteria):
        if criterion[0] == phase and criterion[1] not in keys:
            raise UserError(
                f"Validation reports no '{criterion[1]}', which a criterion of the configuration "
                f"names.{suggestion(criterion[1], keys)} Reported: {' '.join(keys)}."
            )


@contextlib.contextmanager
def unchanged_buffers(model: torch.nn.Module):
    """Put all buffers (running statistics, group weights, counters) back after the block."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(before[name])


def try_out(run: RunBase) -> None:
    """Validate ``sanity_batches`` batches, then try the longest batch if ``probe_memory``."""
    if run.options.no_forward_run:
        return
    with unchanged_buffers(run.model):
        if run.options.sanity_batches > 0:
            _try_validation(run)
        if run.options.probe_memory:
            _try_longest_batch(run)


def _try_validation(run: RunBase) -> None:
    """Compute every metric once; refuse criteria that are not among them."""
    reporter = DROReporter()
    reporter.set_epoch(1)
    sub = reporter.start_epoch("valid")
    batches = itertools.islice(batches_from(run.valid_iter_factory, 1), run.options.sanity_batches)
    figures = validate(run.model, batches, sub, run.ranks, run.options)
    options = run.options
    criteria = [*options.best_model_criterion, options.val_scheduler_criterion]
    criteria += [options.early_stopping_criterion] if options.patience is not None else []
    # These batches need not hold every group.
    of_groups = {f"{kind}_{name}" for kind in ("cer", "loss") for name in run.groups}
    check_criteria(criteria, {*sub.stats, *figures, *(of_groups if figures else ())})
    logging.info("Validation was tried on %d batches: %s", sub.count, sub.log_message())


def _try_longest_batch(run: RunBase) -> None:
    """Forward and backward over the planned batch with most padded seconds."""
    find = getattr(run.train_iter_factory, "longest_batch", None)
    if find is None:
        return
    utt_ids, batch = run.train_iter_factory.load(find())
    began, split_before = time.perf_counter(), run.stepper.num_split
    run.model.train()
    run.stepper.backward(utt_ids, batch, timer=untimed)
    run.stepper.agree_on_failure()
    run.model.zero_grad(set_to_none=True)
    how = "fits" if run.stepper.num_split == split_before else "fits in pieces only"
    run.stepper.num_split = split_before
    memory = ""
    if run.options.ngpu > 0:
        memory = f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB without the optimizer"
    logging.info(
        "The longest planned batch (%d utterances, %s first) %s: %.1f s%s",
        len(utt_ids), utt_ids[0], how, time.perf_counter() - began, memory,
    )  # fmt: skip
