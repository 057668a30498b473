"""Training on one batch until it is decoded without an error."""

import contextlib
import copy
import dataclasses
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from torch.amp import GradScaler

from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.espnet.onebatch.small_batch import SmallBatch, heard, word_errors
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.run.lr_backoff import Backoff
from asr_dro_plugin.espnet.run.steps import Stepper
from asr_dro_plugin.espnet.run.trainer import DROTrainerOptions
from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
from asr_dro_plugin.reporting.onebatch import OneBatchRun

DECODE_EVERY = 5  # updates
WHY = {"lower": "the loss no longer fell", "restart": "the loss grew, or did not fall"}


@dataclasses.dataclass
class OneBatchOptions(DROTrainerOptions):
    """A trainer's options and the test's own; ``turned_off`` and ``peak_rate`` are the task's."""

    config: str | None
    num_utts: int
    max_updates: int
    max_seconds: float
    learning_rate: float | None
    turned_off: Sequence
    peak_rate: Sequence


class Overfitting:
    """Steps on one batch; ``run`` keeps what happens.

    Args:
        run: with its first learning rate.
        model, optimizers: as training would begin with them.
        batch: what to learn.
        options: of the trainer and of the test.
    """

    def __init__(
        self,
        run: OneBatchRun,
        model: ESPnetASRModel,
        optimizers: Sequence[torch.optim.Optimizer],
        batch: SmallBatch,
        options: OneBatchOptions,
    ) -> None:
        self.run, self.model, self.optimizers = run, model, optimizers
        self.batch, self.options = batch, options
        on_gpu, ranks = options.ngpu > 0, Ranks()
        self.device = "cuda" if on_gpu else "cpu"
        scaler = GradScaler() if options.use_amp else None
        self.stepper = Stepper(model, scaler, 1, ranks, on_gpu)
        self.updater = Updater(
            model, optimizers, [None] * len(optimizers), scaler, options, ranks, SkippedSteps(0)
        )
        self.backoff = Backoff(run.rates[0][1])

    def learn(self) -> None:
        """Train until WER 0 or a limit; ``run.ended`` says which."""
        began = time.perf_counter()
        with Progress(self.options.max_updates, "onebatchtest") as progress:
            while not self.run.ended:
                self._update()
                self.run.seconds = time.perf_counter() - began
                self._look()
                progress.advance(1, self._note())

    def _update(self) -> None:
        """One update of the optimizer, and a lower rate where it did harm."""
        if not self.run.losses:
            self._begin()
        group_ids = self.batch.tensors.get("group_ids", torch.zeros(0)).reshape(-1).tolist()
        self.updater.note_batch(self.batch.utt_ids, group_ids)
        result = self.stepper.backward(self.batch.utt_ids, self.batch.tensors, untimed)
        applied = self.updater.update(self.run.updates + 1, untimed)
        finite = "grad_norm" in applied
        loss = plain_loss(self.model, result.stats) if finite else float("inf")
        self.run.losses.append(loss)
        decision = self.backoff.look(loss)
        if decision:
            self._lower(decision)

    def _begin(self) -> None:
        freezing = getattr(self.model, "freezing", None)
        if freezing is not None:
            freezing.at_update(0)
        self.model.train()
        self._set_rate(self.backoff.rate)
        self.first_weights = copy.deepcopy(self.model.state_dict())
        self.first_states = [copy.deepcopy(opt.state_dict()) for opt in self.optimizers]

    def _lower(self, decision: str) -> None:
        """Go on, or begin anew, with the lower rate of ``backoff``."""
        if decision == "restart":
            self.model.load_state_dict(self.first_weights)
            for optimizer, state in zip(self.optimizers, self.first_states, strict=True):
                optimizer.load_state_dict(copy.deepcopy(state))
        self._set_rate(self.backoff.rate)
        self.run.rates.append((self.run.updates, self.backoff.rate, WHY[decision]))
        how = "from the first weights again" if decision == "restart" else "going on"
        print(
            f"  update {self.run.updates}: {WHY[decision]}; {how} with learning rate "
            f"{self.backoff.rate:.3g}",
            flush=True,
        )

    def _set_rate(self, rate: float) -> None:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _look(self) -> None:
        """Decode now and then; decide whether this is the end."""
        run, options = self.run, self.options
        last = ""
        if run.updates >= options.max_updates:
            last = "max_updates"
        elif run.seconds >= options.max_seconds:
            last = "max_seconds"
        elif self.backoff.rate == 0:
            last = "no_rate"
        if not last and run.updates % DECODE_EVERY:
            return
        run.hypotheses = heard(self.model, self.batch, self.device)
        run.wers.append((run.updates, word_errors(run.references, run.hypotheses).rate))
        run.ended = "reached" if run.wer == 0 else last

    def _note(self) -> str:
        wer = "" if self.run.wer is None else f" WER {100 * self.run.wer:.0f} %"
        return f"loss {self.run.losses[-1]:.2f}{wer}"


def plain_loss(model: ESPnetASRModel, stats: dict) -> float:
    """The loss without the weights of groups, which move while a batch is learned."""
    parts = {"loss_ctc": model.ctc_weight, "loss_att": 1 - model.ctc_weight}
    found = [weight * float(stats[name]) for name, weight in parts.items() if name in stats]
    return sum(found) if found else float(stats["loss"])


def untimed(_name: str) -> contextlib.AbstractContextManager:
    """No timer."""
    return contextlib.nullcontext()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A request to end is an interruption like Ctrl-C, so that what was found is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier if earlier is not None else signal.SIG_DFL)
