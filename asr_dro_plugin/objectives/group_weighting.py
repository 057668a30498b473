"""The machinery that group DRO and CTC-DRO share: pending losses, rounds, and when q moves."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from asr_dro_plugin.base.settings import check_number, check_word
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import reference as reference_run
from asr_dro_plugin.objectives.abs_objective import WEIGHTS, AbsObjective
from asr_dro_plugin.objectives.checks import absolute_or_relative
from asr_dro_plugin.objectives.totals import BATCHES, FRAMES, LABELS, LOSS, SECONDS, UTTERANCES
from asr_dro_plugin.objectives.weights import TINY, move, stability

# Row of the totals that counts how often a group was seen, by ``signal``, else by ``agg``.
COUNT_ROWS = {"frames": FRAMES, "labels": LABELS}
AGG_ROWS = {"sum": BATCHES, "mean": UTTERANCES}
NEEDS = {"frames": ("frames",), "labels": ("labels", "durations")}  # of every batch, by signal
SIGNALS = ("sum", "frames", "labels", "excess", "dev_cer")
LARGEST_STEP_SIZE = 1e20
ROUND_LIMIT_PER_GROUP = 20  # batches
_MEMORY = 0.1  # share of the newest update in the running mean of the losses


class GroupWeighting(AbsObjective):
    """An objective whose utterances weigh G*q of their group, q rising with the group's loss.

    A member adds its ``step``.  Keys, as in ``objective_conf`` and its ``experimental``:
        step_size, step_size_rel: eta, or eta = step_size_rel / (G * running mean of the losses).
        agg: a group's loss is the ``sum`` over its utterances in a batch, or their ``mean``.
        signal: what moves q: the loss by ``agg`` (``sum``), a ``frames``, or a ``labels`` times the
            mean labels of a batch's seconds over all groups; ``excess`` over a reference run;
            ``dev_cer`` of the last validation.
        reference, reference_at: for ``excess``, see ``reference``; ``step`` or ``end``.
        acts_on: q weighs the ``loss``, the ``sampling`` of the groups, or ``both``.
        update: once all groups were seen (``round``), or after every ``batch``.
        round_limit: batches after which a round ends without the groups not seen; 0 is never.
        size_adjustment: C of Sagawa et al.: C / sqrt(n_g) is added to a group's loss.
        group_sizes: n_g, training utterances by group; needed by ``size_adjustment``.
        cap, floor: largest change of log q in an update, smallest weight (default 0.01 / G).
    """

    smoothing: float | None = None  # what q is raised by where a step is divided by it

    def __init__(
        self,
        num_groups: int,
        *,
        step_size: float | None = None,
        step_size_rel: float | None = None,
        agg: str = "sum",
        signal: str = "sum",
        reference: dict | None = None,
        reference_at: str = "step",
        acts_on: str = "loss",
        update: str = "round",
        round_limit: int | None = None,
        size_adjustment: float = 0.0,
        group_sizes: Sequence[int] | None = None,
        cap: float = 1.0,
        floor: float | None = None,
        **keys,
    ) -> None:
        super().__init__(num_groups, **keys)
        check_word("agg", agg, AGG_ROWS)
        check_word("signal", signal, SIGNALS)
        check_word("acts_on", acts_on, ("loss", "sampling", "both"))
        check_word("update", update, ("round", "batch"))
        self.agg, self.signal, self.acts_on, self.update = agg, signal, acts_on, update
        self.weighs_loss = acts_on != "sampling"
        self.step_size, self.step_size_rel = absolute_or_relative(
            "step_size", step_size, step_size_rel, 0.5, most=LARGEST_STEP_SIZE
        )
        floor = 0.01 / num_groups if floor is None else floor
        self.floor = float(check_number("floor", floor, least=0, below=1 / num_groups))
        self.cap = float(check_number("cap", cap, above=0, infinite=True))
        most = ROUND_LIMIT_PER_GROUP * num_groups if round_limit is None else round_limit
        self.round_limit = check_number("round_limit", most, whole=True, least=0)
        self._count_row = COUNT_ROWS.get(signal, AGG_ROWS[agg])
        self.signal_needs = NEEDS.get(signal, ())
        self._check_signal()
        self._add_reference(reference, reference_at)
        self._add_size_adjustment(size_adjustment, group_sizes)

    def _check_signal(self) -> None:
        if self.signal in COUNT_ROWS and self.length_norm != "none":
            raise UserError(
                f"signal: {self.signal} divides losses that length_norm: {self.length_norm} has "
                "divided already. Use signal: sum with agg: mean, or length_norm: none."
            )

    def _add_reference(self, reference: dict | None, at: str) -> None:
        check_word("reference_at", at, ("step", "end"))
        steps, losses = reference_run.tabulate(
            reference, self.num_groups, self.group_names, self.agg, at
        )
        self.register_buffer("reference_steps", steps, persistent=False)
        self.register_buffer("reference_losses", losses, persistent=False)

    def _add_size_adjustment(self, constant: float, sizes: Sequence[int] | None) -> None:
        self.size_adjustment = float(check_number("size_adjustment", constant, least=0))
        for size in () if sizes is None else sizes:
            check_number("group_sizes", size, whole=True, least=1 if constant else None)
        if constant and len(sizes or ()) != self.num_groups:
            raise UserError(
                "size_adjustment needs group_sizes: the training utterances of each of the "
                f"{self.num_groups} groups."
            )
        sizes_G = torch.tensor(sizes if constant else [1] * self.num_groups, dtype=torch.float64)
        adjustment_G = self.size_adjustment / sizes_G.sqrt()
        self.register_buffer("adjustment", adjustment_G, persistent=False)

    # What differs between the members.

    def step(
        self, q_G: torch.Tensor, loss_G: torch.Tensor, step_size: float | torch.Tensor
    ) -> torch.Tensor:
        """What is added to log q before softmax, float64 (G,)."""
        raise NotImplementedError

    def new_weights(
        self, q_G: torch.Tensor, loss_G: torch.Tensor, step_size: float | torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights after an update, and how many groups the cap held back.

        ``loss_G`` is NaN for a group that was not seen.
        """
        q_G = q_G.clamp(min=TINY)
        return move(q_G, self.step(q_G, loss_G, step_size), self.cap, self.floor)

    # When q moves, and by what.

    def observe(self, totals: torch.Tensor) -> None:
        """As the contract says; ``labels`` needs the mean labels of a second so far, too."""
        if self.training and self.signal == "labels":
            self.speech_seen.add_(totals[LABELS : SECONDS + 1].sum(1))
        super().observe(totals)

    def advance(self) -> None:
        """Update q where what is pending completes a round; no value is read off a device."""
        if self.signal == "dev_cer":
            return super().advance()
        if self._surely_not_due():
            return None
        seen, most = self.pending[self._count_row].aminmax()
        if self.update == "batch":
            seen = most
        elif self.round_limit:
            seen = torch.where(self.batches[1] >= self.round_limit, most, seen)
        due = seen > 0
        # By the batch an absent group is one without loss (Sagawa et al.), or a batch of one group
        # would never move q.  At the end of a limited round it is left out instead: a rare
        # language must not fall for being rare.
        absent = 0.0 if self.update == "batch" else math.nan
        self._update_where(due, self._pending_loss(), absent)
        self.log.add_(torch.where(due, self.pending, 0.0))
        self.pending.masked_fill_(due, 0.0)
        self.batches[1].masked_fill_(due, 0)
        return None

    def _surely_not_due(self) -> bool:
        """On the CPU, where a look waits for nothing, it saves an update to be thrown away."""
        if not self.pending.is_cpu or self.update == "batch":
            return False
        if 0 < self.round_limit <= self.batches.numpy()[1]:
            return False
        return np.count_nonzero(self.pending.numpy()[self._count_row]) < self.num_groups

    @torch.no_grad()
    def observe_dev(self, cer_G: torch.Tensor) -> None:
        """With ``signal: dev_cer`` q moves here, once a validation; else the CER is only kept."""
        super().observe_dev(cer_G)
        if self.signal == "dev_cer":
            loss_G = dev_cer_signal(self.dev_signal)
            self._update_where(True, loss_G)

    def _pending_loss(self) -> torch.Tensor:
        """Loss of each group by the chosen signal; of a group not seen NaN."""
        summed_G = self.pending[LOSS]
        match self.signal:
            case "frames":  # a slow language is not an easy one
                loss_G = summed_G / self.pending[FRAMES]
            case "labels":  # a common factor, so that step sizes tuned for sum stay comparable
                labels, seconds = self.speech_seen
                loss_G = summed_G / self.pending[LABELS] * (labels / seconds * self.duration)
            case "excess":  # what could still be gained (DoReMi, Xie et al. 2023, arXiv:2305.10429)
                reference_G = reference_run.look_up(
                    self.reference_steps, self.reference_losses, self.num_batches
                )
                mean_G = summed_G / self.pending[AGG_ROWS[self.agg]]
                loss_G = (mean_G - reference_G).clamp(min=0.0)
            case _:
                loss_G = summed_G / self.pending[AGG_ROWS[self.agg]]
        if self.size_adjustment:
            loss_G = loss_G + self.adjustment
        return loss_G

    def _update_where(
        self, due: torch.Tensor | bool, loss_G: torch.Tensor, absent: float = math.nan
    ) -> None:
        """Update q, the running mean and the counters where ``due``; without a look at it.

        A loss that is not finite is that of a group not seen: it is no part of the mean, which one
        such would spoil for good, and enters the update as ``absent``.  Without any other q stays.
        """
        loss_G = loss_G.nan_to_num(math.nan, math.nan, math.nan)
        newest = loss_G.nanmean()
        due = newest.isfinite() & due
        goes_on = (self.num_updates > 0) & self.mean_loss.isfinite()
        mean = torch.where(goes_on, self.mean_loss.lerp(newest, _MEMORY), newest)
        q_G, clipped = self.new_weights(
            self.relative_weights / self.num_groups,
            loss_G.nan_to_num(absent),
            self._step_size(mean),
        )
        weights_G = torch.where(due, q_G * self.num_groups, self.relative_weights)
        self._buffers[WEIGHTS].copy_(weights_G)
        self.mean_loss.copy_(torch.where(due, mean, self.mean_loss))
        self.num_updates.add_(due)
        self.num_clipped.add_(clipped * due)

    def _step_size(self, mean_loss: torch.Tensor) -> float | torch.Tensor:
        if self.step_size is not None:
            return self.step_size
        # Losses of zero (no excess left) move nothing, whatever they are multiplied with.
        return self.step_size_rel / (self.num_groups * mean_loss.clamp(min=1e-30))

    def stability(self) -> list[float]:
        """The bound of section 2.5 on the running mean: [below 2 is stable], CTC-DRO only."""
        if self.smoothing is None:
            return []
        step_size, mean_loss = float(self._step_size(self.mean_loss)), float(self.mean_loss)
        return [stability(step_size, mean_loss, self.num_groups, self.smoothing)]


def dev_cer_signal(cer_G: torch.Tensor) -> torch.Tensor:
    """The CER of the last validation: what is optimised is what is reported.

    An infinite one (the model gave NaN for an utterance) counts as the worst of the finite ones:
    the group is among the worst, but by how much nobody knows.
    """
    cer_G = cer_G.double()
    worst = cer_G.nan_to_num(-1.0, -1.0, -1.0).amax()
    cer_G = torch.where(cer_G == float("inf"), worst, cer_G)
    return torch.where(cer_G >= 0, cer_G, float("nan"))
