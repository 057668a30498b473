"""The optimizer step: gradients summed over ranks, clipped, applied; or skipped and counted."""

import contextlib
import logging
from collections.abc import Callable, Sequence

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler, AbsScheduler
from espnet2.torch_utils.add_gradient_noise import add_gradient_noise
from torch.amp import GradScaler

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.run.bad_losses import NamedCounts, counted, few

Timer = Callable[[str], contextlib.AbstractContextManager]


def untimed(_name: str) -> contextlib.AbstractContextManager:
    """No timer."""
    return contextlib.nullcontext()


class SkippedSteps(NamedCounts):
    """Steps whose gradient was not finite: how many, of which groups, which utterances.

    Args:
        limit: this many in a row end the training; 0 never does.
    """

    def __init__(self, limit: int, groups: Sequence[str] = ()) -> None:
        super().__init__()
        self.limit, self.groups = limit, tuple(groups)
        self.total = self.in_a_row = 0

    def add(self, utt_ids: Sequence[str], group_ids: Sequence[int], grad_norm: float) -> None:
        """Count a skipped step.

        Args:
            utt_ids, group_ids: of all utterances whose gradients the step would have applied.

        Raises:
            UserError: too many in a row.
        """
        self.total += 1
        self.in_a_row += 1
        known = [self.groups[index] for index in group_ids if 0 <= index < len(self.groups)]
        here = self.count(known, utt_ids)
        logging.warning(
            "The gradient is %s: step skipped, the %d. in a row. Utterances: %s%s", grad_norm,
            self.in_a_row, few(utt_ids), f". Groups: {counted(here)}" if here else "",
        )  # fmt: skip
        if self.limit and self.in_a_row >= self.limit:
            raise UserError(
                f"{self.in_a_row} steps in a row had a gradient that is not finite (the last: "
                f"{' '.join(utt_ids[:5])}). The last checkpoint is intact. Lower the learning rate "
                "or look at these utterances."
            )

    def state_dict(self) -> dict:
        """Plain numbers, names and lists."""
        return {"total": self.total, "in_a_row": self.in_a_row, **super().state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Take over the counts of ``state_dict``."""
        super().load_state_dict(state)
        self.total, self.in_a_row = state["total"], state["in_a_row"]


class Updater:
    """Applies the gradients that have been added up, as ESPnet's ``Trainer`` does."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[AbsScheduler | None],
        scaler: GradScaler | None,
        options,
        ranks: Ranks,
        skipped: SkippedSteps,
    ) -> None:
        self.model, self.optimizers, self.schedulers = model, optimizers, schedulers
        self.scaler, self.options, self.ranks, self.skipped = scaler, options, ranks, skipped
        self.updates = 0
        self._utt_ids: list[str] = []
        self._group_ids: list[int] = []

    def note_batch(self, utt_ids: Sequence[str], group_ids: Sequence[int]) -> None:
        """Remember whose gradients wait for the next step, to name them should it be skipped."""
        self._utt_ids += utt_ids
        self._group_ids += group_ids

    def update(self, total_count: int, timer: Timer) -> dict[str, torch.Tensor | float]:
        """Apply the gradients and clear them; returns what ESPnet reports of a step.

        Args:
            total_count: batches so far, for ESPnet's gradient noise.

        Raises:
            UserError: too many steps in a row had no finite gradient.
        """
        self.ranks.sum_gradients(self.model.parameters(), self.options.ddp_comm_hook)
        stats: dict = {}
        grad_norm = self._clipped_norm(total_count)
        finite = bool(torch.isfinite(grad_norm))
        if finite:
            clipped = grad_norm > self.options.grad_clip
            stats["grad_norm"] = grad_norm
            stats["clip"] = torch.where(clipped, grad_norm.new_tensor(100), grad_norm.new_tensor(0))
            stats["loss_scale"] = self.scaler.get_scale() if self.scaler else 1.0
            with timer("optim_step_time"):
                self._apply()
            self.updates += 1
            self.skipped.in_a_row = 0
        elif self.scaler is not None:
            # unscale_ has been called: without step and update the next call would be refused.
            for optimizer in self.optimizers:
                self.scaler.step(optimizer)
                self.scaler.update()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        utt_ids, group_ids = self._utt_ids, self._group_ids
        self._utt_ids, self._group_ids = [], []
        if not finite:
            parts = self.ranks.gather((utt_ids, group_ids))
            utt_ids, group_ids = (sum(lists, []) for lists in zip(*parts, strict=True))
            self.skipped.add(utt_ids, group_ids, float(grad_norm))
        return stats

    def _clipped_norm(self, total_count: int) -> torch.Tensor:
        """Norm of the gradient before it is clipped."""
        if self.scaler is not None:
            for optimizer in self.optimizers:
                self.scaler.unscale_(optimizer)
        if self.options.grad_noise:
            add_gradient_noise(self.model, total_count, duration=100, eta=1.0, scale_factor=0.55)
        most, kind = self.options.grad_clip, self.options.grad_clip_type
        return torch.nn.utils.clip_grad_norm_(self.model.parameters(), most, kind)

    def _apply(self) -> None:
        for optimizer, scheduler in zip(self.optimizers, self.schedulers, strict=True):
            if self.scaler is not None:
                self.scaler.step(optimizer)
                self.scaler.update()
            else:
                optimizer.step()
            if isinstance(scheduler, AbsBatchStepScheduler):
                scheduler.step()

    def learning_rates(self) -> dict[str, float]:
        """``optim0_lr0`` and so on, ESPnet's names."""
        return {
            f"optim{i}_lr{j}": group["lr"]
            for i, optimizer in enumerate(self.optimizers)
            for j, group in enumerate(optimizer.param_groups)
            if "lr" in group
        }
