"""One training run from its first step, or from wherever it was stopped, to its last file.

It does what ESPnet's ``Trainer.run`` does, in the same order and with the same draws from the
random generators, and beside it: it saves itself between any two steps and goes on from there bit
for bit, keeps figures of each group, and tries out early what would otherwise fail late.

    training_epoch  batches -> steps (losses, gradients) -> updates (optimizer)
    validation      batches -> figures by group; what is tried before the first step
    epoch_end       model files, links, curves
    run_saving      checkpoints, resuming
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from espnet2.schedulers.abs_scheduler import AbsEpochStepScheduler, AbsValEpochStepScheduler
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed

from asr_dro_plugin.base.phase_timer import START
from asr_dro_plugin.checkpoints.file import NO_ROOM
from asr_dro_plugin.errors import DiskFull, UserError
from asr_dro_plugin.espnet.batches.loaders import batches_from
from asr_dro_plugin.espnet.process.training_state import Position
from asr_dro_plugin.espnet.run.epoch_end import EpochEnd, save_epoch
from asr_dro_plugin.espnet.run.reporter import restore_sub_reporter
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.run_records import RunRecords
from asr_dro_plugin.espnet.run.run_saving import RunSaving
from asr_dro_plugin.espnet.run.training_epoch import TrainingEpoch
from asr_dro_plugin.espnet.run.validation import try_out, validate
from asr_dro_plugin.espnet.start.extracted import refuse_other_features
from asr_dro_plugin.experiment import SEEN


class TrainingRun(RunBase):
    """A run's epochs, one after the other.

    Args:
        after_validation: called on the first rank after each validation (attention plots);
            the others as ``RunBase``.
    """

    def __init__(
        self, *args, after_validation: Callable[["TrainingRun"], None] | None = None, **keys
    ) -> None:
        super().__init__(*args, **keys)
        self.after_validation = after_validation
        self.saving, self.records = RunSaving(self), RunRecords(self)
        self.epoch_end = EpochEnd(self, self.records)

    def train(self) -> None:
        """Train to the last epoch.

        Raises:
            TrainingStopped: a signal asked for it; the checkpoint is written.
            DiskFull: nothing more can be written; the last checkpoint is whole.
            UserError: what the user can mend, in one line.
        """
        try:
            with self.request:
                self._train()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise DiskFull(
                f"There is no room left for {error.filename or self.output_dir}. The last "
                "checkpoint is whole: make room and give the same command again."
            ) from None
        finally:
            # Whatever ended the run, what is being written shall be whole before the process ends.
            with contextlib.suppress(UserError):
                self.store.wait()
            self.records.close()
            if self.progress is not None:
                self.progress.__exit__(None, None, None)

    def _train(self) -> None:
        self.saving.resume()
        if self.position.steps:  # with the weights of before, in place of those it was built with
            refuse_other_features(self.model)
        if self.position.epoch > 1:
            self.on_first_rank(lambda: self.epoch_end.tidy(self.position.epoch - 1))
        self.freeze()
        START.end("checkpoint")
        if self.position.steps == 0:
            try_out(self)
            START.end("trial")
        self.records.start()
        if self._run_epochs():
            logging.info("The training was finished at %d epochs", self.options.max_epoch)
        self.on_first_rank(self.store.wait)
        self.on_first_rank(self.epoch_end.average)
        self.on_first_rank(self.epoch_end.draw)

    def _run_epochs(self) -> bool:
        """The epochs that are left; False if training ended before the last one."""
        first, last = self.position.epoch, self.options.max_epoch
        if first > last:
            logging.warning("The training has already reached at max_epoch: %d", last)
            return True
        if first > 1 and not self.unfinished and self._is_stopped_early():
            return False
        began = time.perf_counter()
        for epoch in range(first, last + 1):
            mean = (time.perf_counter() - began) / max(1, epoch - first)
            left = f". About {mean * (last - epoch + 1):.0f} s to go" if epoch > first else ""
            logging.info("%d/%depoch started%s", epoch, last, left)
            if not self._run_epoch(epoch):
                return False
        return True

    def _run_epoch(self, epoch: int) -> bool:
        """Train, validate, save; False where training must end here."""
        unfinished, self.unfinished = self.unfinished, {}
        if not unfinished:
            set_all_random_seed(self.options.seed + epoch)
            steps, updates = self.position.steps, self.position.updates
            self.position = Position(epoch, steps=steps, updates=updates)
            self.records.augmentation.before_epoch(epoch, self.records.trackers)
        self.reporter.set_epoch(epoch)
        self._train_epoch(unfinished)
        self._validate_epoch(epoch)
        self._step_schedulers()
        self._end_epoch(epoch)
        if not self.position.has_updated:
            logging.warning(
                "No step of this epoch had a finite gradient. Training was stopped at epoch %d.",
                epoch,
            )
            return False
        return not self._is_stopped_early()

    def _train_epoch(self, unfinished: dict) -> None:
        """The training part, as far as it is not done yet."""
        self._empty_cache()
        self.sub = self.reporter.start_epoch("train")
        self.group_log = {}
        if unfinished:
            restore_sub_reporter(self.sub, unfinished["sub_reporter"])
            self.group_log = unfinished["group_log"]
        if not self.position.is_trained:
            TrainingEpoch(self, self.sub, self.records, self.saving).train(unfinished)
            self.stepper.agree_on_failure()
            self.bad_losses.report(self.groups, self.ranks.gather)
            if self.objective is not None:
                self.group_log = self.objective.read_log(reset=True)
            self.position.is_trained = True
        self.reporter.finish_epoch(self.sub)

    def _validate_epoch(self, epoch: int) -> None:
        """Validation and plots; a signal between its batches stops the run as in training."""
        self._empty_cache()
        if self.ranks.world_size > 1:
            self.ranks.share_buffers(self.model)
        valid = self.reporter.start_epoch("valid")
        batches = batches_from(self.valid_iter_factory, epoch)
        figures = validate(
            self.model, batches, valid, self.ranks, self.options, self.saving.between_batches
        )
        self.reporter.finish_epoch(valid)
        self.reporter.add_values("train", named_by_group(self.group_log, self.groups))
        self.reporter.add_values("valid", figures)
        if self.objective is not None and figures:
            cer = torch.as_tensor(self.model.validation.cer_G, dtype=torch.float32)
            self.objective.observe_dev(cer.to(next(self.model.parameters()).device))
        if self.after_validation is not None and self.ranks.is_first:
            self.after_validation(self)

    def _step_schedulers(self) -> None:
        for scheduler in self.schedulers:
            if isinstance(scheduler, AbsValEpochStepScheduler):
                scheduler.step(self.reporter.get_value(*self.options.val_scheduler_criterion))
            elif isinstance(scheduler, AbsEpochStepScheduler):
                scheduler.step()

    def _end_epoch(self, epoch: int) -> None:
        """Model, then checkpoint, then links: see ``EpochEnd``."""
        self.on_first_rank(self.epoch_end.report)
        self.on_first_rank(self.epoch_end.report_group_weights)
        self.on_first_rank(self.epoch_end.warn_of_clipping)
        self.on_first_rank(lambda: save_epoch(self.output_dir, self.model_state(), epoch))
        seen = self.seen_by_all()
        self.on_first_rank(lambda: seen.write(self.output_dir / SEEN))
        self.saving.save(epoch_is_over=True)
        self.on_first_rank(lambda: self.epoch_end.tidy(epoch))

    def _is_stopped_early(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.reporter.check_early_stopping(
            patience, *self.options.early_stopping_criterion
        )

    @staticmethod
    def _empty_cache() -> None:
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def named_by_group(log: Mapping[str, Sequence[float]], groups: Sequence[str]) -> dict[str, float]:
    """``loss_<group>`` and ``q_<group>`` from the objective's log."""
    names = {"loss": "loss", "q": "group_weights"}
    return {
        f"{short}_{group}": value
        for short, key in names.items()
        if key in log
        for group, value in zip(groups, log[key], strict=True)
    }
