"""The mathematics of the group weights q: one update, its fixed point and its stability."""

import math

import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives.checks import require_number

_TINY = 1e-300  # keeps log(0) and x / 0 finite in float64
_LARGEST_STEP_SIZE = 1e20
_HUGE = 1e300  # an overflown step, still small enough to be summed over the groups


def update_group_weights(
    q_G: torch.Tensor,
    loss_G: torch.Tensor,
    step_size: float,
    smoothing: float | None,
    cap: float = 1.0,
    floor: float | None = None,
) -> torch.Tensor:
    """Group weights after one step of CTC-DRO, or of group DRO with ``smoothing=None``.

    ``step_g = step_size * loss_g / (q_g + smoothing)`` in log space, centred, clipped, softmax,
    floor.  Computed in float64, so that long batches neither overflow nor poison q.

    Args:
        q_G: weights on the simplex, float32 or float64; looked at on the host.
        loss_G: loss of each group in nats.  A group whose loss is NaN or infinite was not seen:
            its log q stays as it is, and the mean is that of the others.
        step_size: eta, absolute, >= 0.
        smoothing: alpha, absolute, >= 0.  0 divides by q alone; None does not divide.
        cap: largest change of log q, after the mean of the steps is taken off; > 0, may be inf.
        floor: smallest weight, 0 <= floor < 1/G; None is 0.01/G.

    Returns:
        The new weights, with the shape, dtype and device of ``q_G``.

    Raises:
        UserError: a setting out of its range, shapes that differ, or a ``q_G`` with NaN, infinite
            or negative entries, or without any above zero.

    Source: Bartelds et al. 2025 (arXiv:2502.01777), Sagawa et al. 2020 (arXiv:1911.08731).
    """
    if q_G.ndim != 1 or q_G.shape != loss_G.shape or not q_G.is_floating_point():
        raise UserError(
            f"q_G {tuple(q_G.shape)} of {q_G.dtype} and loss_G {tuple(loss_G.shape)} must be two "
            "floating vectors of one length."
        )
    floor = default_floor(len(q_G)) if floor is None else floor
    check_update(len(q_G), step_size, smoothing, cap, floor)
    loss_G = loss_G.detach().to(q_G.device, torch.float64)
    exact_G = q_G.detach().double()
    if not bool((exact_G >= 0).all()) or not 0 < float(exact_G.sum()) < math.inf:
        raise UserError(
            f"q_G is {q_G.tolist()}, no weights to start from: they must be finite, none of them "
            "negative, and not all zero. Begin with 1/G each."
        )
    new_G, _ = step_in_log_space(exact_G, loss_G, step_size, smoothing, cap, floor)
    return new_G.to(q_G.dtype)


def step_in_log_space(
    q_G: torch.Tensor,
    loss_G: torch.Tensor,
    step_size: float | torch.Tensor,
    smoothing: float | None,
    cap: float,
    floor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``update_group_weights`` on float64 without checks, and the number of clipped groups.

    No value is brought to the host, whatever the device.
    """
    step_G = loss_G.nan_to_num(math.nan, math.nan, math.nan)  # NaN is: not seen
    if smoothing is not None:
        step_G = step_G / (q_G + max(smoothing, _TINY))
    step_G = (step_G * step_size).clamp_(-_HUGE, _HUGE)
    step_G = step_G - step_G.nanmean()
    num_clipped = (step_G.abs() > cap).sum()
    step_G = step_G.clamp_(-cap, cap).nan_to_num_(0.0)
    new_G = torch.softmax(step_G.add_(q_G.clamp(min=_TINY).log_()), dim=0)
    return raise_to_floor(new_G, floor), num_clipped


def raise_to_floor(q_G: torch.Tensor, floor: float) -> torch.Tensor:
    """Raise entries below ``floor`` to it, and shrink the others in proportion.

    With the k smallest at the floor, the others shrink by ``factor_k``; shrinking may bring more of
    them down to it, and the least of the factors is the one that keeps the sum.  Where nothing is
    below the floor it is exactly 1 (k = 0), and q is untouched.
    """
    if floor <= 0:
        return q_G
    sorted_G = q_G.sort().values
    head_G = sorted_G.cumsum(0) - sorted_G  # sum of the k smallest, k = 0..G-1
    raised_G = torch.arange(len(q_G), device=q_G.device) * floor - head_G
    factor = (1.0 - raised_G / (1.0 - head_G)).amin()
    return (q_G * factor).clamp(min=floor)


def default_floor(num_groups: int) -> float:
    """Smallest weight where none is chosen: a hundredth of the uniform one."""
    return 0.01 / num_groups


def check_update(
    num_groups: int, step_size: float, smoothing: float | None, cap: float, floor: float
) -> None:
    """Refuse settings with which an update could not be computed."""
    if not 0 <= require_number("floor", floor) < 1 / num_groups:
        raise UserError(f"floor is {floor}: it must be in [0, 1/{num_groups} groups).")
    if not require_number("cap", cap, infinite=True) > 0:
        raise UserError(f"cap is {cap}: it must be above 0 (.inf switches it off).")
    if smoothing is not None and require_number("smoothing", smoothing) < 0:
        raise UserError(f"smoothing is {smoothing}: it must be 0 or above (group_dro has none).")
    check_step_size(step_size)


def check_step_size(step_size: float) -> None:
    """Refuse a step size that is no number, or so large that only the cap would be left of it."""
    if require_number("step_size", step_size) < 0:
        raise UserError(f"step_size is {step_size}: it must be 0 or above.")
    if step_size > _LARGEST_STEP_SIZE:
        raise UserError(f"step_size {step_size} would overflow. Usual values are 1e-4 to 1e-2.")


def fixed_point(loss_G: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Weights at which CTC-DRO stands still under constant losses, float64 (G,).

    On the active set A (the groups of largest loss), ``q_g = loss_g (1 + |A| smoothing) /
    sum_A loss - smoothing``; the others are at zero.  A is the largest set whose weights are all
    positive.
    """
    sorted_G, order_G = loss_G.double().sort(descending=True)
    size_G = torch.arange(1, len(loss_G) + 1, device=loss_G.device)
    level_G = (1 + size_G * smoothing) / sorted_G.cumsum(0)  # weight + smoothing a nat, by size
    active = int((sorted_G * level_G > smoothing).sum())
    q_G = (sorted_G * level_G[active - 1] - smoothing).clamp(min=0)
    return torch.empty_like(q_G).scatter_(0, order_G, q_G)


def stability(step_size: float, mean_loss: float, num_groups: int, smoothing: float) -> float:
    """``step_size * mean_loss * G / (1 + smoothing * G)^2``: q settles below 2, swings above.

    The eigenvalue of the iteration near a fixed point not far from uniform.
    """
    return step_size * mean_loss * num_groups / (1 + smoothing * num_groups) ** 2
