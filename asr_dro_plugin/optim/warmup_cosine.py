"""Cosine annealing times a linear warm-up, as QuartzNet models are trained.

Source: Loshchilov and Hutter 2017, arXiv:1608.03983, one period; the warm-up is a second factor, so
that the cosine does not begin late.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from asr_dro_plugin.errors import UserError


def warmup_cosine_scale(
    step: int, max_steps: int, warmup_steps: int, init_lr_scale: float, final_lr_scale: float
) -> float:
    """Learning rate over its peak after ``step`` optimizer updates; constant from ``max_steps``."""
    done = min(1.0, step / warmup_steps) if warmup_steps else 1.0
    warm = init_lr_scale + (1 - init_lr_scale) * done
    cosine = (1 + math.cos(math.pi * min(step, max_steps) / max_steps)) / 2
    return warm * (final_lr_scale + (1 - final_lr_scale) * cosine)


class WarmupCosine(LRScheduler):
    """Cosine learning rate with warm-up, stepped once an optimizer update.

    Args:
        max_steps: updates of the whole training.
        warmup_steps: updates of the warm-up, part of ``max_steps``.
        init_lr_scale: warm-up's first factor.
        final_lr_scale: the cosine's last factor.

    Raises:
        UserError: a warm-up longer than the training, a scale outside [0, 1].
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_steps: int,
        warmup_steps: int = 500,
        init_lr_scale: float = 0.1,
        final_lr_scale: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= warmup_steps < max_steps:
            raise UserError(
                f"scheduler warmup_cosine: warmup_steps {warmup_steps} must be at least 0 and less "
                f"than max_steps {max_steps}."
            )
        if not (0 <= init_lr_scale <= 1 and 0 <= final_lr_scale <= 1):
            raise UserError(
                f"scheduler warmup_cosine: init_lr_scale {init_lr_scale} and final_lr_scale "
                f"{final_lr_scale} must lie in 0..1."
            )
        self.shape = (max_steps, warmup_steps, init_lr_scale, final_lr_scale)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Learning rate of each parameter group."""
        scale = warmup_cosine_scale(self.last_epoch, *self.shape)
        return [base_lr * scale for base_lr in self.base_lrs]
