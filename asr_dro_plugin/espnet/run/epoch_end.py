"""What an epoch leaves behind: log lines, curves, a checkpoint, model files under ESPnet's names.

    3epoch.pth  latest.pth -> 3epoch.pth  valid.cer.best.pth -> 2epoch.pth
    valid.cer.ave_2best.pth  valid.cer.ave.pth -> valid.cer.ave_2best.pth

Every file and link is replaced in one move; a file appears before a link to it does.
"""

import logging
import math
import os
import time
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from espnet2.train.reporter import Reporter

from asr_dro_plugin.base.files import link
from asr_dro_plugin.checkpoints.file import save_model
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.run_records import RunRecords
from asr_dro_plugin.experiment import OBJECTIVE_STATE

# All pictures take longer than a short epoch.  They are drawn anew after so many seconds, after so
# many times what they took, and when training ends.
SECONDS_UNDRAWN, SHARE = 60.0, 20
MOSTLY_CLIPPED = 50.0  # % of an epoch's updates

Criterion = Sequence[str]  # phase, figure, "min" or "max"; for example valid, worst_group_cer, min


class EpochEnd:
    """Files and curves of a run's epochs; only the first rank calls it.

    The order is such that a kill at any point loses nothing: the model of the epoch, then the
    checkpoint that counts the epoch as done, then links and pruning, which resuming repeats.
    """

    def __init__(self, run: RunBase, records: RunRecords) -> None:
        self.run, self.options, self.records = run, run.options, records
        self._warned = self._warned_of_clipping = False
        self._is_drawn, self._draw_at = True, time.monotonic() + SECONDS_UNDRAWN

    def report(self) -> None:
        """The epoch's figures to the log, the pictures (now and then) and the trackers."""
        logging.info(self.run.reporter.log_message())
        self._is_drawn = not self.options.use_matplotlib
        if time.monotonic() >= self._draw_at:
            self.draw()
        self.records.epoch()

    def draw(self) -> None:
        """``images/``: each figure over the epochs, where epochs have come since the last time."""
        if self._is_drawn:
            return
        began = time.monotonic()
        self.run.reporter.matplotlib_plot(self.run.output_dir / "images")
        now = time.monotonic()
        self._is_drawn, self._draw_at = True, now + max(SECONDS_UNDRAWN, SHARE * (now - began))

    def report_group_weights(self) -> None:
        """How the objective fared in this epoch; its losses for a run that refers to this one."""
        log, loss_log = self.run.group_log, getattr(self.run.model, "loss_log", None)
        if not log:
            return
        if loss_log is not None:
            loss_log.add(self.run.position.steps, log)
        if not log["num_updates"][0]:
            return
        bound = log["stability"][0] if log["stability"] else None
        logging.info(
            "Group weights: %d updates, %d changes held back by the cap, running mean of the group "
            "losses %.4g%s", log["num_updates"][0], log["num_clipped"][0], log["mean_loss"][0],
            "" if bound is None else f", stability {bound:.3g} (settles below 2)",
        )  # fmt: skip
        if bound is not None and bound >= 2 and not self._warned:
            self._warned = True
            logging.warning(
                "The step size is too large for these losses (stability %.3g, which must stay "
                "below 2): the group weights will swing. Lower step_size or step_size_rel, or "
                "raise the smoothing.", bound,
            )  # fmt: skip

    def warn_of_clipping(self) -> None:
        """Say where clipping takes the groups' weights back.

        The gradient of an update of one group's batch alone is its weight times the plain one:
        clipped, it has the same length whatever the weight is.
        """
        run = self.run
        sampler = getattr(run.train_iter_factory, "sampler", None)
        batches = self.options.accum_grad * run.ranks.world_size
        if batches > 1 or not getattr(sampler, "needs_groups", False) or self._warned_of_clipping:
            return
        clipped = run.reporter.values_of("train").get("clip", 0.0)
        if run.objective is None or not run.objective.weighs_loss or not clipped > MOSTLY_CLIPPED:
            return
        self._warned_of_clipping = True
        logging.warning(
            "The groups' weights do little: an update is one group's batch, and %.0f %% of them "
            "were clipped to grad_clip %g, which undoes the weight. Let an update hold several "
            "groups (accum_grad 4 or more), or raise grad_clip.", clipped, self.options.grad_clip,
        )  # fmt: skip

    def tidy(self, epoch: int) -> None:
        """Links to the best epochs, averages on the way, and no more models than asked for."""
        criteria, reporter = self.options.best_model_criterion, self.run.reporter
        keep = self.options.keep_nbest_models
        improved = update_best_links(self.run.output_dir, reporter, criteria, epoch)
        if improved:
            logging.info("The best model has been updated: %s", ", ".join(improved))
        else:
            logging.info("There are no improvements in this epoch")
        interval = self.options.nbest_averaging_interval
        if interval > 0 and epoch % interval == 0:
            self.average(suffix=f"till{epoch}epoch")
        removed = prune_epochs(self.run.output_dir, reporter, criteria, keep, epoch)
        if removed:
            names = ", ".join(str(path) for path in removed)
            logging.info("The model files were removed: %s", names)

    def average(self, suffix: str | None = None) -> None:
        """The mean of the n best epochs of each criterion."""
        criteria, keep = self.options.best_model_criterion, self.options.keep_nbest_models
        average_nbest(self.run.output_dir, self.run.reporter, criteria, keep, suffix)


def epoch_path(output_dir: str | Path, epoch: int) -> Path:
    """Where the model of an epoch is."""
    return Path(output_dir) / f"{epoch}epoch.pth"


def save_epoch(output_dir: str | Path, model_state: dict[str, Any], epoch: int) -> None:
    """Save the model of an epoch and let ``latest.pth`` point to it."""
    path = epoch_path(output_dir, epoch)
    save_model(path, model_state)
    link(path.with_name("latest.pth"), path.name)


def average_states(states: Sequence[dict[str, Any]], newest: int) -> dict[str, Any]:
    """The mean of several epochs' models.

    Floating point tensors are averaged (in float64).  The objective's state and integer tensors
    (BatchNorm's count of batches) are those of the newest epoch: a sum of counters counts nothing,
    and group weights belong to the losses they were made from.

    Args:
        states: state dicts of one model.
        newest: index in ``states`` of the latest epoch.

    Raises:
        UserError: a tensor that not all of them have.
    """
    result = copy(states[newest])  # with the versions that a module notes beside its tensors
    for name, latest in states[newest].items():
        has_mean = torch.is_tensor(latest) and (latest.is_floating_point() or latest.is_complex())
        if name.startswith(OBJECTIVE_STATE) or not has_mean:
            continue
        try:
            result[name] = _mean([state[name] for state in states])
        except KeyError:
            raise UserError(
                f"The models to be averaged are of different make: not all have {name}. Train the "
                "stages of a model in experiments of their own."
            ) from None
    return result


def _mean(tensors: list[torch.Tensor]) -> torch.Tensor:
    wide = torch.promote_types(tensors[0].dtype, torch.float64)
    total = tensors[0].to(wide, copy=True)
    for tensor in tensors[1:]:
        total += tensor
    return (total / len(tensors)).to(tensors[0].dtype)


@torch.no_grad()
def average_nbest(
    output_dir: str | Path,
    reporter: Reporter,
    best_model_criterion: Iterable[Criterion],
    nbest: Collection[int] | int,
    suffix: str | None = None,
) -> None:
    """Average the n best epochs of each criterion, for each n in ``nbest``, and link the largest.

    The names are those of ESPnet's ``average_nbest_models``.  Epochs whose figure is NaN or
    infinite take no part while there is another; an epoch whose file is gone is left out.

    Raises:
        DiskFull: too little room; the averages made before are whole.
    """
    counts = sorted({nbest} if isinstance(nbest, int) else {*nbest} or {1})
    end = f"{suffix}." if suffix else ""
    for phase, figure, mode in best_model_criterion:
        ranked = _ranked(reporter, phase, figure, mode)
        finite = [epoch for epoch, value in ranked if math.isfinite(value)]
        epochs = finite or [epoch for epoch, _ in ranked[:1]]
        # As ESPnet: with fewer epochs than the smallest n there is the best one alone.
        fitting = [n for n in counts if 1 <= n <= len(epochs)] or [1]
        stem = Path(output_dir) / f"{phase}.{figure}.ave"
        made = [n for n in fitting if _average(f"{stem}_{n}best.{end}pth", epochs[:n])]
        if made:
            link(f"{stem}.{end}pth", f"{stem.name}_{made[-1]}best.{end}pth")


def _ranked(reporter: Reporter, phase: str, figure: str, mode: str) -> list[tuple[int, float]]:
    """(epoch, value), best first and diverged ones (NaN, infinite) last; empty without figure."""
    try:
        ranked = reporter.sort_epochs_and_values(phase, figure, mode)
    except KeyError:
        return []
    return sorted(ranked, key=lambda item: not math.isfinite(item[1]))


def _average(path: str, epochs: list[int]) -> bool:
    """Write the mean of those epochs, or for one epoch a link to it; False if none is there."""
    there = [epoch for epoch in epochs if epoch_path(Path(path).parent, epoch).exists()]
    for epoch in set(epochs) - set(there):
        logging.warning(f"{path}: left out epoch {epoch}, whose file {epoch}epoch.pth is gone.")
    if not there:
        return False
    if len(epochs) == 1:
        link(path, f"{there[0]}epoch.pth")
        return True
    logging.info(f"Averaging epochs {there}: {path}")
    # Mapped, not read: only one tensor of each epoch is in memory at a time.
    states = [
        torch.load(epoch_path(Path(path).parent, epoch), "cpu", weights_only=True, mmap=True)
        for epoch in there
    ]
    save_model(path, average_states(states, there.index(max(there))))
    return True


def update_best_links(
    output_dir: str | Path, reporter: Reporter, criteria: Iterable[Criterion], epoch: int
) -> list[str]:
    """Let ``valid.<figure>.best.pth`` point to the best epoch; names of those that ``epoch`` won.

    NaN and infinite figures are never best.
    """
    improved = []
    for phase, figure, mode in criteria:
        best, value = next(iter(_ranked(reporter, phase, figure, mode)), (0, math.nan))
        target = epoch_path(output_dir, best)
        if not math.isfinite(value) or not target.exists():
            continue
        path = target.with_name(f"{phase}.{figure}.best.pth")
        if not (path.is_symlink() and os.readlink(path) == target.name):
            link(path, target.name)
        if best == epoch:
            improved.append(f"{phase}.{figure}")
    return improved


def prune_epochs(
    output_dir: str | Path,
    reporter: Reporter,
    criteria: Iterable[Criterion],
    keep: Collection[int] | int,
    epoch: int,
) -> list[Path]:
    """Remove the models of epochs before ``epoch`` that no criterion has among its best.

    Args:
        keep: number of best epochs to keep of each criterion (the largest of several).

    Returns:
        What was removed.
    """
    most = keep if isinstance(keep, int) else max(keep, default=1)
    best = {e for criterion in criteria for e, _ in _ranked(reporter, *criterion)[:most]}
    gone = [epoch_path(output_dir, e) for e in range(1, epoch) if e not in best]
    gone = [path for path in gone if path.exists()]
    for path in gone:
        path.unlink()
    return gone
