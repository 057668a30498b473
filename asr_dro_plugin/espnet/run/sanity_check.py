"""Before the first step: what would crash after a night crashes now.

A few batches of validation compute every metric and name every criterion that is not reported; the
longest planned batch shows whether memory suffices.  Nothing of either is kept.
"""

import itertools
import logging
import time

import torch

from asr_dro_plugin.espnet.batches.loaders import batches_from
from asr_dro_plugin.espnet.run.reporter import DROReporter
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.updates import untimed
from asr_dro_plugin.espnet.run.validation import check_criteria, unchanged_buffers, validate


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
