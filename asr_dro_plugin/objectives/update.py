"""One update of the group weights as a pure function, for whoever trains without the module."""

import math

import torch

from asr_dro_plugin.base.settings import check_number
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives.ctc_dro import CTCDRO
from asr_dro_plugin.objectives.group_dro import GroupDRO


def update_group_weights(
    q_G: torch.Tensor,
    loss_G: torch.Tensor,
    step_size: float,
    smoothing: float | None,
    cap: float = 1.0,
    floor: float | None = None,
) -> torch.Tensor:
    """Group weights after one step of CTC-DRO, or of group DRO with ``smoothing=None``.

    Computed in float64, so that long batches neither overflow nor poison q.

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
    """
    if q_G.ndim != 1 or q_G.shape != loss_G.shape or not q_G.is_floating_point():
        raise UserError(
            f"q_G {tuple(q_G.shape)} of {q_G.dtype} and loss_G {tuple(loss_G.shape)} must be two "
            "floating vectors of one length."
        )
    settings = {"step_size": check_number("step_size", step_size), "cap": cap, "floor": floor}
    if smoothing is None:
        method = GroupDRO(len(q_G), **settings)
    else:
        method = CTCDRO(len(q_G), smoothing=smoothing, **settings)
    exact_G = q_G.detach().double()
    if not bool((exact_G >= 0).all()) or not 0 < float(exact_G.sum()) < math.inf:
        raise UserError(
            f"q_G is {q_G.tolist()}, no weights to start from: they must be finite, none of them "
            "negative, and not all zero. Begin with 1/G each."
        )
    loss_G = loss_G.detach().to(q_G.device, torch.float64).nan_to_num(math.nan, math.nan, math.nan)
    new_G, _ = method.new_weights(exact_G, loss_G, step_size)
    return new_G.to(q_G.dtype)
