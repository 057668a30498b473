"""Depthwise convolution through the Fourier transform: what makes wide kernels quick on a CPU.

Torch multiplies tap by tap, some two billion products a second on one core; the transforms cost
the same whatever the kernel's width, and with the spectrum of the input kept, the backward pass
needs three of them for both gradients.  Channels are taken in groups that fit the processor's
cache.

Shapes: C channels, B utterances, N frames of all utterances in a row, K taps, L frames of a
transform, F = L / 2 + 1 frequencies.
"""

from collections.abc import Iterator, Sequence

import torch

CACHE = 1 << 21  # bytes of a group's frames


def transform_size(frames: int) -> int:
    """The least L of at least so many frames that is quick to transform."""
    power = 1 << max(5, (frames - 1).bit_length())
    candidates = (power * part // 16 for part in (9, 10, 12, 15))
    return min((size for size in candidates if size >= frames and size % 32 == 0), default=power)


def depthwise_conv(
    x: torch.Tensor, weight: torch.Tensor, lengths: Sequence[int], dilation: int
) -> torch.Tensor:
    """Each channel of each utterance convolved with its own kernel, zeros beyond its ends.

    Args:
        x: (C, N), utterance after utterance.
        weight: (C, K) with K odd.
        lengths: frames of each utterance; their sum is N.
        dilation: frames from one tap to the next.

    Returns:
        (C, N), as ``torch.nn.functional.conv1d`` computes it.
    """
    return _DepthwiseConv.apply(x, weight, tuple(lengths), dilation, torch.is_grad_enabled())


class _DepthwiseConv(torch.autograd.Function):
    """y = F^-1(F(x) F(h)) with h the kernel around frame 0 of a circle of L frames."""

    @staticmethod
    def forward(ctx, x, weight, lengths, dilation, kept):
        reach = dilation * (weight.shape[1] // 2)
        size = transform_size(max(lengths) + reach)
        taps = (reach - dilation * torch.arange(weight.shape[1])) % size
        circle = weight.new_zeros(len(weight), size)
        circle[:, taps] = weight
        kernel = torch.fft.rfft(circle)[:, None]
        out, frames = torch.empty_like(x), _Frames(x, lengths, size)
        spectrum = kernel.new_empty(len(x) if kept else 0, len(lengths), size // 2 + 1)
        for group in frames.groups():
            spectral = torch.fft.rfft(frames.spread(x[group]))
            if kept:
                spectrum[group] = spectral
            spectral *= kernel[group]
            frames.join(torch.fft.irfft(spectral, n=size), out[group])
        ctx.save_for_backward(spectrum, kernel, taps)
        ctx.lengths, ctx.size = lengths, size
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        spectrum, kernel, taps = ctx.saved_tensors
        frames = _Frames(grad, ctx.lengths, ctx.size)
        grad_x, grad_weight = torch.empty_like(grad), grad.new_empty(len(grad), len(taps))
        for group in frames.groups():
            of_grad = torch.fft.rfft(frames.spread(grad[group]))
            products = (of_grad * spectrum[group].conj()).sum(dim=1)
            grad_weight[group] = torch.fft.irfft(products, n=ctx.size)[:, taps]
            if ctx.needs_input_grad[0]:
                of_grad *= kernel[group].conj()
                frames.join(torch.fft.irfft(of_grad, n=ctx.size), grad_x[group])
        return grad_x, grad_weight, None, None, None


class _Frames:
    """Where each utterance lies in (C, N) and in (C, B, L)."""

    def __init__(self, x: torch.Tensor, lengths: Sequence[int], size: int) -> None:
        self.channels, self.lengths, self.size = len(x), lengths, size
        fitting = CACHE // (len(lengths) * size * x.element_size())
        self.width = min(max(1, fitting), self.channels)
        self.buffer = x.new_zeros(self.width, len(lengths), size)

    def groups(self) -> Iterator[slice]:
        """Channels that are transformed together."""
        for first in range(0, self.channels, self.width):
            yield slice(first, first + self.width)

    def spread(self, x: torch.Tensor) -> torch.Tensor:
        """(C, N) -> (C, B, L) with zeros behind each utterance, in memory that is used again."""
        buffer = self.buffer[: len(x)]
        for index, part in enumerate(x.split(list(self.lengths), dim=1)):
            buffer[:, index, : part.shape[1]] = part
        return buffer

    def join(self, y: torch.Tensor, out: torch.Tensor) -> None:
        """(C, B, L) -> (C, N)."""
        for index, part in enumerate(out.split(list(self.lengths), dim=1)):
            part.copy_(y[:, index, : part.shape[1]])
