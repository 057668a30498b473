"""What a training run is made of at any moment; the parts of the run read and change it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.schedulers.abs_scheduler import AbsScheduler
from espnet2.train.reporter import SubReporter
from torch.amp import GradScaler

from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.checkpoints.store import CheckpointStore
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.process.signals import StopRequest
from asr_dro_plugin.espnet.process.training_state import Position
from asr_dro_plugin.espnet.run.bad_losses import BadLosses
from asr_dro_plugin.espnet.run.reporter import DROReporter
from asr_dro_plugin.espnet.run.seen_data import SeenCounter
from asr_dro_plugin.espnet.run.steps import Stepper
from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
from asr_dro_plugin.espnet.start.adapters import left_out_of


class RunBase:
    """Everything that lives as long as a training run.

    Args:
        model: on its device, not wrapped for distributed training.
        train_iter_factory, valid_iter_factory: build the iterator of an epoch.
        options: ``trainer.DROTrainerOptions``.
        ranks: the processes that train together.
        utt2corpus: corpus of each training utterance, to count what was seen.
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
    ) -> None:
        self.model, self.optimizers, self.schedulers = model, optimizers, schedulers
        self.train_iter_factory, self.valid_iter_factory = train_iter_factory, valid_iter_factory
        self.options, self.ranks = options, ranks
        self.output_dir = Path(options.output_dir)
        self.objective = getattr(model, "objective", None)
        group_map = getattr(model, "group_map", None)
        self.groups: tuple[str, ...] = group_map.names if group_map else ()
        self.scaler = GradScaler() if options.use_amp else None
        self.reporter = DROReporter()
        self.seen = SeenCounter(self.groups, utt2corpus)
        self.skipped = SkippedSteps(options.max_skipped_steps, self.groups)
        self.bad_losses = BadLosses()
        self.counters = {"skipped": self.skipped, "bad_losses": self.bad_losses}
        self.stepper = Stepper(model, self.scaler, options.accum_grad, ranks, options.ngpu > 0)
        self.updater = Updater(
            model, optimizers, schedulers, self.scaler, options, ranks, self.skipped
        )
        self.store = CheckpointStore(self.output_dir, keep=options.keep_checkpoints)
        self.request = StopRequest()
        self.position, self.unfinished = Position(), {}
        self.sub: SubReporter | None = None
        self.group_log: dict = {}
        self.progress: Progress | None = None

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
