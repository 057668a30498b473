"""The mathematics of the group weights q: how a step moves them, and when they settle."""

import torch

TINY = 1e-300  # keeps log(0) and x / 0 finite in float64
_HUGE = 1e300  # an overflown step, still small enough to be summed over the groups


def move(
    q_G: torch.Tensor, step_G: torch.Tensor, cap: float, floor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """``softmax(log q + step)`` with centred and clipped steps and a floor; the number clipped.

    No value is brought to the host, whatever the device.

    Args:
        q_G: weights above zero, float64; step_G: of a group that was not seen NaN: its log q
            stays as it is, and the mean is that of the others.
        cap: largest change of log q, after the mean of the steps is taken off.
        floor: smallest weight.
    """
    step_G = step_G.clamp(-_HUGE, _HUGE)
    step_G = step_G - step_G.nanmean()
    num_clipped = (step_G.abs() > cap).sum()
    step_G = step_G.clamp_(-cap, cap).nan_to_num_(0.0)
    new_G = torch.softmax(step_G.add_(q_G.log()), dim=0)
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


def stability(step_size: float, mean_loss: float, num_groups: int, smoothing: float) -> float:
    """``step_size * mean_loss * G / (1 + smoothing * G)^2``: q settles below 2, swings above.

    The eigenvalue of the iteration near a fixed point not far from uniform.
    """
    return step_size * mean_loss * num_groups / (1 + smoothing * num_groups) ** 2
