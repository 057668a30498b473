"""Learning rate schedules that are stepped once an optimizer update."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from asr_dro_plugin.errors import UserError

Steps = tuple[int, int, int]  # of warm-up, hold and decay


class Scaled(LRScheduler):
    """The optimizer's ``lr`` times the ``scale`` of the step."""

    def get_lr(self) -> list[float]:
        """Learning rate of each parameter group."""
        return [base_lr * self.scale() for base_lr in self.base_lrs]


def tri_stage_scale(step: int, steps: Steps, init_lr_scale: float, final_lr_scale: float) -> float:
    """Learning rate over its peak after ``step`` optimizer updates.

    Rises linearly from ``init_lr_scale`` to 1, stays there, falls exponentially to
    ``final_lr_scale`` and remains.
    """
    warmup, hold, decay = steps
    if step < warmup:
        return init_lr_scale + (1 - init_lr_scale) * step / warmup
    decayed = step - warmup - hold
    if decayed <= 0:
        return 1.0
    if decayed >= decay:
        return final_lr_scale
    return final_lr_scale ** (decayed / decay)


def steps_of_ratios(max_steps: int, ratios: tuple[float, float, float]) -> Steps:
    """Lengths of the phases as parts of ``max_steps``; what rounding leaves goes to the decay.

    Raises:
        UserError: ratios that are negative or do not sum to 1.
    """
    if min(ratios) < 0 or not math.isclose(sum(ratios), 1.0, abs_tol=1e-6):
        raise UserError(
            f"scheduler tri_stage: warmup_ratio, hold_ratio and decay_ratio are {ratios}; they "
            "must not be negative and must sum to 1."
        )
    warmup, hold = (round(max_steps * ratio) for ratio in ratios[:2])
    return warmup, hold, max_steps - warmup - hold


class TriStage(Scaled):
    """Tri-stage: linear warm-up, hold, exponential decay (fairseq's fine-tuning of wav2vec 2.0).

    Source: Baevski et al. 2020, arXiv:2006.11477, section 4.3; the formula is fairseq's
    ``tri_stage``.  ESPnet's ``tristagelr`` is one update ahead of it and knows no phases in steps.

    Args:
        max_steps: updates of the whole training; the ratios divide them.
        warmup_ratio, hold_ratio, decay_ratio: parts of ``max_steps``; their sum is 1.
        warmup_steps, hold_steps, decay_steps: all three, in place of ``max_steps``.
        init_lr_scale, final_lr_scale: first and last learning rate over the optimizer's ``lr``.

    Raises:
        UserError: neither or both ways to give the phases, a scale outside (0, 1].
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_steps: int | None = None,
        warmup_ratio: float = 0.1,
        hold_ratio: float = 0.4,
        decay_ratio: float = 0.5,
        warmup_steps: int | None = None,
        hold_steps: int | None = None,
        decay_steps: int | None = None,
        init_lr_scale: float = 0.01,
        final_lr_scale: float = 0.05,
        last_epoch: int = -1,
    ) -> None:
        given = (warmup_steps, hold_steps, decay_steps)
        if (max_steps is None) == (None in given) or (max_steps and given != (None,) * 3):
            raise UserError(
                "scheduler tri_stage needs scheduler_conf.max_steps, or all of warmup_steps, "
                "hold_steps and decay_steps, not both."
            )
        if not (0 < init_lr_scale <= 1 and 0 < final_lr_scale <= 1):
            raise UserError(
                f"scheduler tri_stage: init_lr_scale {init_lr_scale} and final_lr_scale "
                f"{final_lr_scale} must be above 0 and at most 1."
            )
        ratios = (warmup_ratio, hold_ratio, decay_ratio)
        self.steps = given if max_steps is None else steps_of_ratios(max_steps, ratios)
        self.scales = (init_lr_scale, final_lr_scale)
        super().__init__(optimizer, last_epoch)

    def scale(self) -> float:
        """Of the present step."""
        return tri_stage_scale(self.last_epoch, self.steps, *self.scales)


def warmup_cosine_scale(
    step: int, max_steps: int, warmup_steps: int, init_lr_scale: float, final_lr_scale: float
) -> float:
    """Learning rate over its peak after ``step`` optimizer updates; constant from ``max_steps``."""
    done = min(1.0, step / warmup_steps) if warmup_steps else 1.0
    warm = init_lr_scale + (1 - init_lr_scale) * done
    cosine = (1 + math.cos(math.pi * min(step, max_steps) / max_steps)) / 2
    return warm * (final_lr_scale + (1 - final_lr_scale) * cosine)


class WarmupCosine(Scaled):
    """Cosine annealing times a linear warm-up, as QuartzNet models are trained.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, one period; the warm-up is a second
    factor, so that the cosine does not begin late.

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

    def scale(self) -> float:
        """Of the present step."""
        return warmup_cosine_scale(self.last_epoch, *self.shape)
