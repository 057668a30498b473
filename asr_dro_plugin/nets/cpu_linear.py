"""Linear layers of wide networks on a CPU through oneDNN, up to twice as fast as torch's own way.

torch multiplies float32 matrices with MKL, which does not use all that processors of another maker
can do; oneDNN, which torch has for its convolutions, does.  Where it is not there, or would not be
faster (narrow layers, GPUs, other types), a layer is torch's own.
"""

import torch
from torch import nn
from torch.nn import functional

WIDE = 256  # narrower matrices are no faster


class WideLinear(nn.Linear):
    """``nn.Linear`` with the same parameters and numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        return wide_linear(x, self.weight, self.bias)


def wide_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """(..., in) times (out, in) transposed, plus (out,): torch's ``linear``, by oneDNN if able."""
    if not fits(x, weight):
        return functional.linear(x, weight, bias)
    if torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, weight, bias)
    ):
        return _Linear.apply(x, weight, bias)
    return product(x, weight, bias)


def use_wide_linear(module: nn.Module) -> None:
    """Make every wide ``nn.Linear`` below a module a ``WideLinear``, names and parameters kept."""
    for layer in module.modules():
        if type(layer) is nn.Linear and min(layer.in_features, layer.out_features) >= WIDE:
            layer.__class__ = WideLinear


def fits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether oneDNN can multiply them."""
    if torch.jit.is_tracing():  # for other machines
        return False
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype == weight.dtype == torch.float32 and x.numel() > 0 and _has_onednn()


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x (M, K) times weight (N, K) transposed, plus bias (N,): (M, N)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        grads = [None, None, None]
        if ctx.needs_input_grad[0]:
            grads[0] = product(rows, weight.t(), None).view(x.shape)
        if ctx.needs_input_grad[1]:
            grads[1] = rows.t() @ x.reshape(-1, x.shape[-1])
        if ctx.needs_input_grad[2]:
            grads[2] = rows.sum(0)
        return tuple(grads)
