"""One training run from its first step, or from wherever it was stopped, to its last file.

It does what ESPnet's ``Trainer.run`` does, in the same order and with the same draws from the
random generators, and beside it: it saves itself between any two steps and goes on from there bit
for bit, keeps figures of each group, and tries out early what would otherwise fail late.

    training_epoch  batches -> steps (losses, gradients) -> updates (optimizer)
    validation      batches -> figures by group
    epoch_end       model files, links, curves
    run_saving      checkpoints, resuming
    trial           before the first step
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.schedulers.abs_scheduler import (
    AbsEpochStepScheduler,
    AbsScheduler,
    AbsValEpochStepScheduler,
)
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet2.train.reporter import SubReporter
from torch.amp import GradScaler

from asr_dro_plugin.base.phase_timer import START
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.checkpoints.file import NO_ROOM
from asr_dro_plugin.checkpoints.store import CheckpointStore
from asr_dro_plugin.errors import DiskFull, UserError
from asr_dro_plugin.espnet.batches.loaders import batches_from
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.process.signals import StopRequest
from asr_dro_plugin.espnet.process.training_state import Parts, Position
from asr_dro_plugin.espnet.run.bad_losses import BadLosses
from asr_dro_plugin.espnet.run.epoch_end import EpochEnd
from asr_dro_plugin.espnet.run.reporter import DROReporter, restore_sub_reporter
from asr_dro_plugin.espnet.run.run_records import RunRecords
from asr_dro_plugin.espnet.run.run_saving import RunSaving
from asr_dro_plugin.espnet.run.sanity_check import try_out
from asr_dro_plugin.espnet.run.seen_data import SeenCounter
from asr_dro_plugin.espnet.run.steps import Stepper
from asr_dro_plugin.espnet.run.training_epoch import TrainingEpoch
from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
from asr_dro_plugin.espnet.run.validation import validate
from asr_dro_plugin.espnet.start.adapters import left_out_of


class TrainingRun:
    """Everything that lives as long as a training run.

    Args:
        model: on its device, not wrapped for distributed training.
        train_iter_factory, valid_iter_factory: build the iterator of an epoch.
        options: ``trainer.DROTrainerOptions``.
        ranks: the processes that train together.
        utt2corpus: corpus of each training utterance, to count what was seen.
        after_validation: called on the first rank after each validation (attention plots).
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[AbsScheduler | None],
        train_iter_factory: AbsIterFactory,
        valid_iter_factory: AbsIterFactory,
        options,
        ranks: Ranks,
        utt2corpus: Mapping[str, str] | None = None,
        after_validation: Callable[["TrainingRun"], None] | None = None,
    ) -> None:
        self.model, self.optimizers, self.schedulers = model, optimizers, schedulers
        self.train_iter_factory, self.valid_iter_factory = train_iter_factory, valid_iter_factory
        self.options, self.ranks, self.after_validation = options, ranks, after_validation
        self.output_dir = Path(options.output_dir)
        self.objective = getattr(model, "objective", None)
        group_map = getattr(model, "group_map", None)
        self.groups: tuple[str, ...] = group_map.names if group_map else ()
        self.scaler = GradScaler() if options.use_amp else None
        self.reporter = DROReporter()
        self.seen = SeenCounter(self.groups, utt2corpus)
        self.skipped = SkippedSteps(options.max_skipped_steps, self.groups)
        self.bad_losses = BadLosses()
        self.stepper = Stepper(model, self.scaler, options.accum_grad, ranks, options.ngpu > 0)
        self.updater = Updater(
            model, optimizers, schedulers, self.scaler, options, ranks, self.skipped
        )
        self.store = CheckpointStore(self.output_dir, keep=options.keep_checkpoints)
        self.request, self.saving, self.epoch_end = StopRequest(), RunSaving(self), EpochEnd(self)
        self.records = RunRecords(self)
        self.position, self.unfinished = Position(), {}
        self.sub: SubReporter | None = None
        self.group_log: dict = {}
        self.progress: Progress | None = None

    @property
    def parts(self) -> Parts:
        """What is saved and restored."""
        counters = {"skipped": self.skipped, "bad_losses": self.bad_losses}
        return Parts(
            self.model, self.optimizers, self.schedulers, self.scaler, self.reporter, counters
        )

    def on_first_rank(self, work: Callable[[], None]) -> None:
        """Do ``work`` on the first rank; if it raises there, no other rank goes on alone."""
        error: BaseException | None = None
        if self.ranks.is_first:
            try:
                work()
            except Exception as raised:
                error = raised
        (failed,) = self.ranks.sum_host([error is not None])
        if error is not None:
            raise error
        if failed:
            raise UserError("The first process of this training stopped; its message says why.")

    def model_state(self) -> dict:
        """What of the model is saved: unless ``save_strategy`` is all, without the pretrained model
        that adapters have learned beside.

        Checkpoints too: what stands still and is read from its own, checked file when a run goes
        on need not be written once more with every one.
        """
        state = self.model.state_dict()
        if self.options.save_strategy == "all":
            return state
        left_out = left_out_of(self.model)
        return {name: value for name, value in state.items() if name not in left_out}

    # -- the run -----------------------------------------------------------------------------------

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
            self.records.trackers.close()
            if self.progress is not None:
                self.progress.__exit__(None, None, None)

    def _train(self) -> None:
        self.saving.resume()
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
            self.records.augmentation.before_epoch(epoch)
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
            TrainingEpoch(self, self.sub).train(unfinished)
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
        self.on_first_rank(lambda: self.epoch_end.save_model(epoch))
        seen = self.seen_by_all()
        self.on_first_rank(lambda: seen.write(self.output_dir / "seen.json"))
        self.saving.save(epoch_is_over=True)
        self.on_first_rank(lambda: self.epoch_end.tidy(epoch))

    def _is_stopped_early(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.reporter.check_early_stopping(
            patience, *self.options.early_stopping_criterion
        )

    # -- small services ----------------------------------------------------------------------------

    def freeze(self) -> None:
        """Let parameters learn that were to stand still only for the first updates."""
        freezing = getattr(self.model, "freezing", None)
        if freezing is not None:
            freezing.at_update(self.updater.updates)

    def seen_by_all(self) -> SeenCounter:
        """What all ranks have trained on so far."""
        return self.seen.add_counts(self.ranks.gather(self.seen.state_dict()))

    def begin_progress(self, steps_an_epoch: int | None) -> None:
        """Show where the run stands, once the length of an epoch is known."""
        if self.progress is None and self.ranks.is_first:
            self.progress = Progress(self.options.max_epoch * (steps_an_epoch or 0), "train")
            self.progress.__enter__()
            self.progress.advance(self.position.steps)

    def advance(self, note: str) -> None:
        """One more step done."""
        if self.progress is not None:
            self.progress.advance(1, note)

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
