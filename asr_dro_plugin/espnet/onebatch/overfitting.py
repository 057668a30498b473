"""Training on one batch until it is decoded without an error."""

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from torch.amp import GradScaler

from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.espnet.onebatch.small_batch import heard, word_errors
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.process.signals import STOP_SIGNALS, handled_by
from asr_dro_plugin.espnet.run.steps import Stepper
from asr_dro_plugin.espnet.run.trainer import DROTrainerOptions
from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater, untimed
from asr_dro_plugin.reporting.onebatch import OneBatchRun

DECODE_EVERY = 5  # updates
FACTOR = 3.0  # by which a rate is lowered
DIVERGED = 3.0  # times the first loss
STALLED = 200  # updates without a lower loss
LOW = 0.1  # share of the first loss under which what is learned is kept
BETTER = 0.99  # a lower loss is lower by a hundredth
FLAT = 0.1  # share of the first loss; what stays within was moved too little, not too much
WHY = {"lower": "the loss no longer fell", "restart": "the loss grew, or did not fall"}


@dataclasses.dataclass
class OneBatchOptions(DROTrainerOptions):
    """A trainer's options and the test's own; ``turned_off`` and ``first_rate`` are the task's."""

    config: str | None
    num_utts: int
    max_updates: int
    max_seconds: float
    turned_off: Sequence
    first_rate: Sequence


@dataclasses.dataclass
class Backoff:
    """A constant learning rate that is lowered where the losses of updates prove it too high.

    Attributes:
        rate: the learning rate at present.
        first, best, worst: loss of the first update since the last start from new weights, the
            lowest and the highest.
    """

    rate: float
    first: float = math.nan
    best: float = math.inf
    worst: float = -math.inf
    _waited: int = 0

    def look(self, loss: float) -> str:
        """What is to be done after an update: ``""`` nothing, ``"lower"`` go on with a lower rate,
        ``"restart"`` begin anew with a lower rate; ``rate`` is lowered already."""
        if math.isnan(self.first):
            self.first = loss
        if not math.isfinite(loss) or loss > DIVERGED * self.first:
            return self._lowered(restart=True)
        self.worst = max(self.worst, loss)
        if loss < BETTER * self.best:
            self.best, self._waited = loss, 0
            return ""
        self._waited += 1
        if self._waited < STALLED or self._is_flat():
            return ""
        return self._lowered(restart=self.best > LOW * self.first)

    def _is_flat(self) -> bool:
        """Whether the loss has stayed where it began: a lower rate would move it even less."""
        return self.worst - self.best < FLAT * abs(self.first)

    def _lowered(self, restart: bool) -> str:
        self.rate /= FACTOR
        self._waited = 0
        if restart:
            self.first, self.best, self.worst = math.nan, math.inf, -math.inf
        return "restart" if restart else "lower"


class Overfitting:
    """Steps on one batch; ``run`` keeps what happens.

    Args:
        run: with its first learning rate.
        model, optimizers: as training would begin with them.
        batch: the tensors to learn.
        options: of the trainer and of the test.
    """

    def __init__(
        self,
        run: OneBatchRun,
        model: ESPnetASRModel,
        optimizers: Sequence[torch.optim.Optimizer],
        batch: dict,
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
        group_ids = self.batch.get("group_ids", torch.zeros(0)).reshape(-1).tolist()
        self.updater.note_batch(self.run.utt_ids, group_ids)
        result = self.stepper.backward(self.run.utt_ids, self.batch, untimed)
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


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A request to end is an interruption like Ctrl-C, so that what was found is told."""

    def interrupt(number: int, _frame: object) -> None:
        if number in STOP_SIGNALS:
            raise KeyboardInterrupt

    with handled_by(interrupt):
        yield
