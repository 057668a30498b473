"""One batch of training: losses, the objective, gradients; whole, or in pieces that fit.

With an objective the four phases of ``objectives.AbsObjective`` are called one by one: measure the
losses of the batch, sum the totals over the ranks, let q advance once, weigh and differentiate.
Neither the number of ranks nor that of pieces changes what is computed, statistics of the batch
(BatchNorm) and dropout apart.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from espnet2.torch_utils.device_funcs import to_device
from espnet2.train.trainer import autocast_args
from torch.amp import GradScaler, autocast

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.losses import PER_UTTERANCE, UtteranceLosses
from asr_dro_plugin.espnet.process.distributed import Ranks, weighted_means
from asr_dro_plugin.espnet.run.oom_retry import Batch, in_fitting_pieces, split
from asr_dro_plugin.espnet.run.updates import Timer, untimed


@dataclass
class BatchResult:
    """What a batch leaves: numbers for the reporter, their weight, and which losses were unfit."""

    stats: dict[str, torch.Tensor | float]
    weight: float
    bad_B: torch.Tensor | None = None


class Stepper:
    """Computes the gradients of batches, adding them up in the parameters' ``grad``.

    Args:
        model: on its device, not wrapped.
        accum_grad: batches that make one update; each counts for ``1 / accum_grad``.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        scaler: GradScaler | None,
        accum_grad: int,
        ranks: Ranks,
        on_gpu: bool,
    ) -> None:
        self.model, self.scaler, self.accum_grad, self.ranks = model, scaler, accum_grad, ranks
        self.device = "cuda" if on_gpu else "cpu"
        self.objective = getattr(model, "objective", None)
        self.norms = norms_of(model)
        self.num_split = 0
        self.failure: BaseException | None = None

    @property
    def params(self) -> list[torch.nn.Parameter]:
        """Parameters that learn at present."""
        return [param for param in self.model.parameters() if param.requires_grad]

    def amp(self) -> contextlib.AbstractContextManager:
        """ESPnet's automatic mixed precision, where it is on."""
        return mixed_precision(self.scaler is not None)

    def backward(self, utt_ids: Sequence[str], batch: dict, timer: Timer) -> BatchResult:
        """Add the gradients of a batch; an empty one (another rank still has data) adds nothing.

        Raises:
            UserError: an utterance that does not fit into memory alone, on this rank or another.
        """
        if utt_ids:
            batch = to_device({**batch, "utt_id": list(utt_ids)}, self.device)
        step = self._backward_robust if self.objective is not None else self._backward_plain
        with finite_statistics(self.norms):
            return step(batch if utt_ids else None, timer)

    def agree_on_failure(self) -> None:
        """Stop all ranks where one of them cannot go on.

        Raises:
            BaseException: this rank's own error, or one line about another's.
        """
        (failed,) = self.ranks.sum_host([self.failure is not None])
        self._raise_if(failed)

    def _raise_if(self, failed: float) -> None:
        if self.failure is not None:
            raise self.failure
        if failed:
            raise UserError("Another process of this training stopped; its message says why.")

    @contextlib.contextmanager
    def _failure_is_agreed(self) -> Iterator[None]:
        """Alone, raise at once; among several, keep the error until the ranks next meet."""
        try:
            yield
        except Exception as error:
            if self.ranks.world_size == 1:
                raise
            self.failure = self.failure or error

    # -- a model with an objective -------------------------------------------------------------

    def _backward_robust(self, batch: Batch | None, timer) -> BatchResult:
        losses, num_pieces = None, 1
        with timer("forward_time"), self._failure_is_agreed():
            if batch is not None:
                losses, num_pieces = in_fitting_pieces(
                    lambda pieces: self._measure(batch, pieces), batch
                )
        size = len(batch["utt_id"]) if losses is not None else 0
        own = self.objective.normaliser(size)
        normaliser, failed = self.ranks.sum_host([own, self.failure is not None])
        self._raise_if(failed)
        self._observe(losses)
        if losses is None:
            return BatchResult({}, 0.0)
        with timer("backward_time"), self._failure_is_agreed():
            held = self._hold_gradients()
            value, num_pieces = self._differentiate(batch, losses, normaliser, num_pieces)
            self._return_gradients(held)
            self._note_split(num_pieces, size)
        if self.failure is not None:
            return BatchResult({}, 0.0)  # told to all ranks when they next meet
        stats = self.model.stats_of(losses, value * (normaliser / own))
        return BatchResult(_given(stats), size, losses.bad_B)

    def _measure(self, batch: Batch, num_pieces: int):
        """Per-utterance losses: of one piece with their graph, of several without."""
        if num_pieces == 1:
            with self.amp():
                return self.model.utterance_losses(**batch)
        with torch.no_grad(), self.amp():
            return joined(
                self.model.utterance_losses(**piece) for piece in split(batch, num_pieces)
            )

    def _observe(self, losses) -> None:
        """Sum the totals of all ranks' batches and let the group weights advance, once."""
        given = losses.by_utterance() if losses is not None else self._no_utterances()
        self.objective.observe(self.ranks.sum_device(self.objective.batch_totals(**given)))

    def _no_utterances(self) -> dict[str, torch.Tensor]:
        empty = torch.zeros(0, device=self.device)
        return {**dict.fromkeys(PER_UTTERANCE, empty), "group_ids_B": empty.long()}

    def _differentiate(self, batch: Batch, losses, normaliser: float, first: int):
        """Backward pass over the batch in as few pieces as fit; (weighted loss, pieces)."""
        graph = [losses if first == 1 else None]

        def work(num_pieces: int) -> torch.Tensor:
            self._drop_gradients()
            whole, graph[0] = graph[0], None  # the graph of a failed attempt must not stay
            if num_pieces == 1 and whole is not None:
                return self._backward_of(whole, normaliser)
            values = []
            for piece in split(batch, num_pieces):
                with self.amp():
                    part = self.model.utterance_losses(**piece)
                values.append(self._backward_of(part, normaliser))
            return torch.stack(values).sum()

        return in_fitting_pieces(work, batch, first)

    def _backward_of(self, losses, normaliser: float) -> torch.Tensor:
        """Weigh, differentiate; the detached loss."""
        given = losses.by_utterance()
        given.pop("durations_B")
        loss = self.objective.weigh(normaliser=normaliser, **given)
        self._scaled(loss / self.accum_grad).backward()
        return loss.detach()

    # -- any model of ESPnet ---------------------------------------------------------------------

    def _backward_plain(self, batch: Batch | None, timer) -> BatchResult:
        size = len(batch["utt_id"]) if batch is not None else 0
        total, failed = self.ranks.sum_host([size, self.failure is not None])
        self._raise_if(failed)
        if batch is None:
            return BatchResult({}, 0.0)
        result = BatchResult({}, 0.0)
        with self._failure_is_agreed():
            held = self._hold_gradients()
            result, num_pieces = in_fitting_pieces(
                lambda pieces: self._plain_attempt(batch, pieces, total, timer), batch
            )
            self._return_gradients(held)
            self._note_split(num_pieces, size)
        return result

    def _plain_attempt(self, batch: Batch, num_pieces: int, total: float, timer) -> BatchResult:
        """ESPnet's loss is a mean over utterances: pieces and ranks count by their number."""
        self._drop_gradients()
        results = []
        for piece in split(batch, num_pieces):
            share = len(piece["utt_id"]) / total
            clock = untimed if results else timer
            with clock("forward_time"), self.amp():
                loss, stats, weight = loss_stats_weight(self.model(**piece))
            with clock("backward_time"):
                if share != 1:
                    loss = loss * share
                # In place, as ESPnet does: the loss that it reports is the one that is divided.
                loss /= self.accum_grad
                self._scaled(loss).backward()
            results.append((_given(stats), float(weight)))
        if len(results) == 1:
            return BatchResult(*results[0])
        return BatchResult(*weighted_means(results))

    # -- gradients ---------------------------------------------------------------------------------

    def _scaled(self, loss: torch.Tensor) -> torch.Tensor:
        return self.scaler.scale(loss) if self.scaler is not None else loss

    def _hold_gradients(self) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        """Take earlier batches' gradients aside, out of the way of an attempt that may fail."""
        held = [(param, param.grad) for param in self.params if param.grad is not None]
        for param, _ in held:
            param.grad = None
        return held

    def _return_gradients(self, held: list[tuple[torch.nn.Parameter, torch.Tensor]]) -> None:
        """Add the batch's gradients to those held: the sum that autograd would have made."""
        both = [(param, grad) for param, grad in held if param.grad is not None]
        if both:
            torch._foreach_add_([grad for _, grad in both], [param.grad for param, _ in both])
        for param, grad in held:
            param.grad = grad

    def _drop_gradients(self) -> None:
        for param in self.params:
            param.grad = None

    def _note_split(self, num_pieces: int, size: int) -> None:
        if num_pieces == 1:
            return
        self.num_split += 1
        logging.warning(
            "Out of memory: a batch of %d utterances was trained in %d pieces (%d such batches so "
            "far).%s", size, num_pieces, self.num_split, _deviation(self.model),
        )  # fmt: skip


def mixed_precision(is_on: bool) -> contextlib.AbstractContextManager:
    """ESPnet's automatic mixed precision."""
    return autocast("cuda", enabled=is_on, **autocast_args)


Norm = torch.nn.modules.batchnorm._NormBase


def norms_of(model: torch.nn.Module) -> list[Norm]:
    """The layers with running statistics."""
    return [module for module in model.modules() if isinstance(module, Norm)]


@contextlib.contextmanager
def finite_statistics(norms: Sequence[Norm]) -> Iterator[None]:
    """Keep running statistics (BatchNorm) as they were wherever a batch would make them NaN.

    A step whose gradient is NaN is skipped, but its forward pass has moved them already, and NaN
    would stay for ever.  Nothing waits for the device.
    """
    kept = [
        (buffer, buffer.clone())
        for norm in norms
        for buffer in (norm.running_mean, norm.running_var)
        if buffer is not None
    ]
    yield
    for buffer, before in kept:
        buffer.copy_(torch.where(buffer.isfinite(), buffer, before))


def joined(pieces: Iterable[UtteranceLosses]) -> UtteranceLosses:
    """Losses of a whole batch from those of its pieces, without the encoder's output."""
    parts = [dataclasses.replace(piece, encoder_out=None, decoder_ids=None) for piece in pieces]
    rows = [field.name for field in dataclasses.fields(parts[0]) if field.name.endswith("_B")]
    columns = {name: [getattr(part, name) for part in parts] for name in rows}
    whole = {name: torch.cat(column) for name, column in columns.items() if column[0] is not None}
    return dataclasses.replace(parts[0], **whole)


def _given(stats: dict) -> dict:
    """ESPnet's models name what they do not have, with None."""
    return {key: value for key, value in stats.items() if value is not None}


def loss_stats_weight(returned) -> tuple[torch.Tensor, dict, torch.Tensor]:
    """What a model of ESPnet's returned, be it a tuple or a dictionary."""
    if isinstance(returned, dict):
        return tuple(returned[key] for key in ("loss", "stats", "weight"))
    return returned


def _deviation(model: torch.nn.Module) -> str:
    """Why the pieces' gradient may differ from that of the whole batch; empty where it does not."""
    kinds = {type(module).__name__ for module in model.modules() if module.training}
    batch_norms = sorted(kind for kind in kinds if "BatchNorm" in kind)
    dropouts = any(
        isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0
        for module in model.modules()
    )
    reasons = batch_norms + (["dropout"] if dropouts else [])
    reasons += ["SpecAug"] if getattr(model, "specaug", None) is not None else []
    if not reasons:
        return ""
    return f" {', '.join(reasons)} make its gradient differ a little from the whole batch's."
