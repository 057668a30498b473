"""The contract of an objective: losses of utterances in, one loss to minimise out."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist

from asr_dro_plugin.base.settings import check_number, check_word
from asr_dro_plugin.objectives import totals as table
from asr_dro_plugin.objectives.checks import refuse_unknown, require_given, signature_with_bases
from asr_dro_plugin.objectives.state import NAMES, WEIGHTS, GroupState, decode_names

BY_GROUP = (WEIGHTS, "pending", "log", "dev_signal")


class AbsObjective(GroupState):
    """Turns the losses of a batch's utterances into one loss, and keeps the figures by group.

    ``forward`` is four phases, which a trainer may call one by one: ``batch_totals`` (what is
    summed over ranks and pieces of a batch), ``observe`` (advances the state, once a step),
    ``normaliser`` and ``weigh``.  Any loss will do that is given by utterance, CTC or
    cross-entropy.  Nothing here reads a value back from the device but ``read_log`` and
    ``extend_from``.

    A subclass says in ``advance`` how its weights move.  It repeats no keyword of its base's
    constructor: it names its own, and hands on the others (``**keys``).  Keys of all:
        reduction: divide by the number of utterances (``utterance``), or ``duration`` (``batch``).
        length_norm: divide each loss by its ``frames`` or ``labels``, or not (``none``).
        duration: seconds of a full batch.
        group_names: names in id order, kept with the state.

    State (buffers): ``relative_weights`` G*q, exactly 1 until the first update; ``pending``, totals
    since the last update; ``log``, which makes them the totals since the last ``read_log``;
    ``batches``, their number in all and since the last update; ``num_updates``, ``num_clipped``;
    ``mean_loss``, running mean of the groups' losses; ``dev_signal``, the last ``observe_dev``.
    """

    weighs_loss = True  # False: every utterance counts alike in the loss, whatever q is
    signal = "sum"
    signal_needs: tuple[str, ...] = ()  # what of a batch must be given beside its losses

    def __init__(
        self,
        num_groups: int,
        *,
        reduction: str = "utterance",
        length_norm: str = "none",
        duration: float = 50.0,
        group_names: Sequence[str] | None = None,
        **unknown,
    ) -> None:
        super().__init__(num_groups, group_names)
        refuse_unknown(unknown, type(self))
        check_word("reduction", reduction, ("utterance", "batch"))
        check_word("length_norm", length_norm, ("none", "frames", "labels"))
        check_number("duration", duration, above=0)
        self.reduction, self.length_norm, self.duration = reduction, length_norm, float(duration)
        self._add_state(WEIGHTS, num_groups, dtype=torch.float64, fill=1)
        self._add_state("pending", table.NUM_ROWS, num_groups, dtype=torch.float64)
        self._add_state("log", table.NUM_ROWS, num_groups, dtype=torch.float64)
        self._add_state("mean_loss", dtype=torch.float64)
        self._add_state("dev_signal", num_groups, dtype=torch.float64, fill=float("nan"))
        self._add_state("batches", 2, dtype=torch.int64)
        self._add_state("num_updates", dtype=torch.int64)
        self._add_state("num_clipped", dtype=torch.int64)
        self._add_state("speech_seen", 2, dtype=torch.float64)  # labels, seconds: signal labels
        self._add_state("logged", 2, dtype=torch.int64)  # num_updates, num_clipped at read_log

    def __init_subclass__(cls, **kwargs) -> None:
        """Let the class show the keywords that it hands on beside its own."""
        super().__init_subclass__(**kwargs)
        cls.__signature__ = signature_with_bases(cls)

    # What a member of the family adds.

    def advance(self) -> None:
        """Move the weights by what is pending; here nothing moves, and nothing stays pending."""
        self.log.add_(self.pending)
        self.pending.zero_()
        self.batches[1].zero_()

    def observe_dev(self, cer_G: torch.Tensor) -> None:
        """Take the groups' CER of a validation, NaN for a group without dev data."""
        self.dev_signal.copy_(cer_G)

    def stability(self) -> list[float]:
        """Figure that must stay below 2 for q to settle; empty where there is none."""
        return []

    # The four phases of a step.

    def batch_totals(
        self,
        losses_B: torch.Tensor,
        group_ids_B: torch.Tensor,
        durations_B: torch.Tensor | None = None,
        *,
        num_frames_B: torch.Tensor | None = None,
        num_labels_B: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Figures of a batch by group, to be summed over ranks: float64 (7, G), see ``totals``."""
        if self.signal_needs and len(losses_B):
            given = {"frames": num_frames_B, "labels": num_labels_B, "durations": durations_B}
            for name in self.signal_needs:
                require_given(given[name], name, f"signal: {self.signal}")
        return table.sum_by_group(
            self._normalise(losses_B, num_frames_B, num_labels_B),
            group_ids_B,
            self.num_groups,
            durations_B=durations_B,
            num_frames_B=num_frames_B,
            num_labels_B=num_labels_B,
        )

    def observe(self, totals: torch.Tensor) -> None:
        """Advance the state by the totals of one step, in training mode only."""
        if self.training:
            self.pending.add_(totals)
            self.batches.add_(1)
            self.advance()

    def normaliser(self, num_utterances: int) -> float:
        """What a rank adds to the divisor of the loss; ranks without utterances add nothing."""
        if num_utterances == 0:
            return 0.0
        return float(num_utterances) if self.reduction == "utterance" else self.duration

    def weigh(
        self,
        losses_B: torch.Tensor,
        group_ids_B: torch.Tensor,
        normaliser: float | torch.Tensor,
        *,
        num_frames_B: torch.Tensor | None = None,
        num_labels_B: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """``sum(G q_g(i) loss_i) / normaliser``, a scalar with gradient.

        Losses that are not finite add nothing and get no gradient.  In validation all weights are
        1, so that figures compare across objectives.
        """
        losses_B = self._normalise(losses_B, num_frames_B, num_labels_B).nan_to_num(0.0, 0.0, 0.0)
        if self.training and self.weighs_loss:
            weights_G = self.relative_weights
            single = losses_B.dtype == torch.float32
            weights_G = in_single(weights_G) if single else weights_G.to(losses_B.dtype)
            losses_B = losses_B * weights_G.index_select(0, group_ids_B)
        total = losses_B.sum()
        return total / normaliser if isinstance(normaliser, torch.Tensor) or normaliser else total

    def forward(
        self,
        losses_B: torch.Tensor,
        group_ids_B: torch.Tensor,
        durations_B: torch.Tensor | None = None,
        *,
        num_frames_B: torch.Tensor | None = None,
        num_labels_B: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Loss of a batch, and its figures.

        Args:
            losses_B: loss of each utterance in nats.
            group_ids_B: 0..G-1, int64.
            durations_B: seconds; needed by ``signal: labels`` only.
            num_frames_B, num_labels_B: encoder frames and labels, for the signals and the
                length normalisation that use them.

        Returns:
            The scalar loss, and (detached, the same keys every step) ``loss``; ``loss_G`` and
            ``count_G``, sums of the finite losses and their number by group; ``group_weights`` q.
            In a distributed run the groups' figures are those of all ranks, and the loss is this
            rank's share of the global one times the number of ranks: ``DistributedDataParallel``
            averages gradients over them, and the mean of the ranks' losses is the global one.
            Who sums gradients instead takes the share itself, from ``weigh``.
        """
        lengths = {"num_frames_B": num_frames_B, "num_labels_B": num_labels_B}
        totals = self.batch_totals(losses_B, group_ids_B, durations_B, **lengths)
        normaliser = self.normaliser(len(losses_B))
        in_ranks = self.training and dist.is_available() and dist.is_initialized()
        if in_ranks:
            totals = table.sum_over_ranks(totals)
            normaliser = table.sum_over_ranks(totals.new_full((), normaliser)).clamp(min=1e-9)
        self.observe(totals)
        loss = self.weigh(losses_B, group_ids_B, normaliser, **lengths)
        if in_ranks:
            loss = loss * dist.get_world_size()
        return loss, {
            "loss": loss.detach(),
            "loss_G": totals[table.LOSS],
            "count_G": totals[table.UTTERANCES],
            "group_weights": self.group_weights,
        }

    def _normalise(self, losses_B, num_frames_B, num_labels_B) -> torch.Tensor:
        """Losses as they are optimised: divided by length where ``length_norm`` says so."""
        if self.length_norm == "none" or not len(losses_B):
            return losses_B
        lengths_B = num_frames_B if self.length_norm == "frames" else num_labels_B
        require_given(lengths_B, self.length_norm, f"length_norm: {self.length_norm}")
        return losses_B / lengths_B

    # What is read from outside.

    @property
    def num_batches(self) -> torch.Tensor:
        """Training batches observed so far, int64 scalar."""
        return self.batches[0]

    @property
    def group_weights(self) -> torch.Tensor:
        """q, float32 (G,), on the simplex."""
        return in_single(self.relative_weights, self.num_groups)

    def read_log(self, reset: bool = True) -> dict[str, list[float]]:
        """Figures since the last reset, in one transfer; lists of G or (the last four) of one.

        ``loss``: mean loss of an utterance, ``batch_loss``: mean sum of a batch that held the group
        (both NaN for a group not seen); ``group_weights``: q now; ``utterances``, ``batches``,
        ``frames``, ``labels``, ``seconds`` of finite losses, ``skipped``: utterances of others;
        ``num_updates``, ``num_clipped``: since the last reset; ``mean_loss``: running mean of the
        groups' signal; ``stability``: below 2 q settles, above it swings (empty: no such bound).
        """
        counters = torch.stack([self.num_updates, self.num_clipped])
        parts = [
            (self.log + self.pending).flatten(),
            self.group_weights.double(),
            (counters - self.logged).double(),
            self.mean_loss[None],
        ]
        values = torch.cat(parts).tolist()
        num_groups = self.num_groups
        rows = [values[k * num_groups : (k + 1) * num_groups] for k in range(table.NUM_ROWS + 1)]
        if reset:
            # What is pending stays so, and has been told.
            torch.neg(self.pending, out=self.log)
            self.logged.copy_(counters)
        return {
            "loss": _ratios(rows[table.LOSS], rows[table.UTTERANCES]),
            "batch_loss": _ratios(rows[table.LOSS], rows[table.BATCHES]),
            "group_weights": rows[table.NUM_ROWS],
            **{name: rows[row] for name, row in table.LOGGED.items()},
            "num_updates": values[-3:-2],
            "num_clipped": values[-2:-1],
            "mean_loss": values[-1:],
            "stability": self.stability(),
        }

    @torch.no_grad()
    def extend_from(self, state: dict[str, torch.Tensor], prefix: str = "") -> str:
        """Take over the state of an objective with fewer groups; returns a sentence for the log.

        The old groups keep the ratios of their weights and what is pending, the new ones start at
        the mean weight.
        """
        older = {name: state[prefix + name] for name in self._buffers if prefix + name in state}
        if WEIGHTS not in older:
            return f"No group weights in the older model: {self.num_groups} groups start alike."
        names = decode_names(older.pop(NAMES))
        places = self.places_of(names)
        for name, value in older.items():
            buffer = self._buffers[name]
            if name in BY_GROUP:
                buffer[..., places] = value.to(buffer)
            else:
                buffer.copy_(value)
        new = [name for name in self.group_names if name not in names]
        return (
            f"Group weights of {len(places)} groups taken over; "
            f"{len(new)} new ones start at the mean weight: {' '.join(new) or 'none'}."
        )


def in_single(values: torch.Tensor, divisor: int = 1) -> torch.Tensor:
    """``values / divisor``, rounded to float32 in memory of its own."""
    if values.is_cpu:  # numpy starts an operation in a fraction of torch's time
        return torch.from_numpy((values.numpy() / divisor).astype(np.float32))
    return (values / divisor).float()


def _ratios(sums: list[float], counts: list[float]) -> list[float]:
    return [total / count if count else float("nan") for total, count in zip(sums, counts)]
