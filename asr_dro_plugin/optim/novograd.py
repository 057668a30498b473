"""NovoGrad: Adam whose second moment is one number a tensor.

Source: Ginsburg et al. 2019, arXiv:1905.11286, algorithm 1.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch.optim import Optimizer

from asr_dro_plugin.errors import UserError


class NovoGrad(Optimizer):
    """NovoGrad with decoupled weight decay.

    With g the gradient of a tensor w: v = beta2 v + (1 - beta2) |g|^2, in the first step v = |g|^2;
    m = beta1 m + g / (sqrt(v) + eps) + weight_decay w; w = w - lr m.

    Args:
        lr: learning rate.
        betas: of the first and the second moment.
        eps: added to the gradient's norm.
        weight_decay: factor of w in m.
        grad_averaging: weigh what is added to m by 1 - beta1.

    Raises:
        UserError: a value outside its range.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 0.01,
        betas: Sequence[float] = (0.95, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        grad_averaging: bool = False,
    ) -> None:
        if min(lr, eps, weight_decay) < 0 or not all(0 <= beta < 1 for beta in betas):
            raise UserError(
                f"optim novograd: lr {lr}, eps {eps} and weight_decay {weight_decay} must not be "
                f"negative, betas {tuple(betas)} must lie in 0..1 (1 excluded)."
            )
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay,
            "grad_averaging": grad_averaging,
        }  # fmt: skip
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """One update of every tensor that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: torch.Tensor, group: dict) -> None:
        state, gradient = self.state[parameter], parameter.grad
        beta1, beta2 = group["betas"]
        square = gradient.float().square().sum()
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = square.clone()
        else:
            state["exp_avg_sq"].lerp_(square, 1 - beta2)
        scaled = gradient / (state["exp_avg_sq"].sqrt() + group["eps"]).to(gradient.dtype)
        scaled.add_(parameter, alpha=group["weight_decay"])
        if group["grad_averaging"]:
            scaled.mul_(1 - beta1)
        state["exp_avg"].mul_(beta1).add_(scaled)
        parameter.add_(state["exp_avg"], alpha=-group["lr"])
