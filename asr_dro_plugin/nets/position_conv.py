"""wav2vec 2.0's position convolution on a CPU by Fourier transforms: a third of the time.

The kernel is 128 frames long.  Over blocks of twice as many the convolution is one product of
channels for each frequency, a fraction of the multiplications; the transforms of blocks, kernels
and results are products with the matrix of sines and cosines, which a processor does at full speed
in the order that the next step wants.  The numbers are the convolution's (1e-5).
"""

import functools
import math

import torch
from torch import nn
from torch.nn import functional

LONG = 32  # frames; with shorter kernels, or narrower groups, the convolution itself is faster
WIDE = 16


def fits(conv: nn.Conv1d, x: torch.Tensor) -> bool:
    """Whether a convolution of (B, T, H) that keeps T is computed faster here."""
    if torch.jit.is_tracing():  # blocks are of numbers that would be frozen
        return False
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    if conv._forward_hooks or conv._forward_pre_hooks or conv.stride[0] != 1:
        return False
    kernel, groups = conv.kernel_size[0], conv.groups
    same = conv.in_channels == conv.out_channels and conv.padding[0] == kernel // 2
    return same and kernel >= LONG and conv.in_channels // groups >= WIDE


def position_conv(conv: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    """(B, T, H) -> (B, T, H), what ``conv`` gives for the first T frames."""
    num_rows, length, width = x.shape
    kernel, groups = conv.kernel_size[0], conv.groups
    size = 2 * kernel
    hop, num_freqs, channels = size - kernel + 1, size // 2 + 1, width // groups
    num_blocks = -(-length // hop)
    behind = (num_blocks - 1) * hop + size - length - kernel // 2
    blocks = functional.pad(x, (0, 0, kernel // 2, behind)).unfold(1, size, hop)
    spectra = blocks.reshape(-1, size) @ cosines(size, size).T  # (B * blocks * H, 2 F)
    spectra = spectra.view(num_rows * num_blocks, groups, channels, 2, num_freqs)
    real, imag = spectra.permute(3, 4, 1, 0, 2).reshape(2, num_freqs * groups, -1, channels)
    kernels = cosines(size, kernel) @ conv.weight.reshape(-1, kernel).T  # (2 F, H * C)
    kernels = kernels.view(2, num_freqs * groups, channels, channels).transpose(2, 3)
    # A correlation: the block's spectrum times the conjugate of the kernel's.
    out_real = torch.baddbmm(torch.bmm(real, kernels[0]), imag, kernels[1])
    out_imag = torch.baddbmm(torch.bmm(imag, kernels[0]), real, kernels[1], alpha=-1)
    out = torch.stack([out_real, out_imag]).view(2, num_freqs, groups, -1, channels)
    out = out.permute(3, 2, 4, 0, 1).reshape(-1, 2 * num_freqs) @ back(size, hop).T
    out = out.view(num_rows, num_blocks, width, hop).transpose(2, 3)
    out = out.reshape(num_rows, num_blocks * hop, width)[:, :length]
    return out if conv.bias is None else out + conv.bias


@functools.lru_cache(maxsize=8)
def cosines(size: int, length: int) -> torch.Tensor:
    """(2 F, length): ``length`` numbers to real and imaginary parts.

    The F = size / 2 + 1 frequencies are those of a transform of ``size`` numbers.
    """
    freqs = torch.arange(size // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi / size * torch.outer(freqs, torch.arange(length, dtype=torch.float64))
    return torch.cat([angles.cos(), -angles.sin()]).float()


@functools.lru_cache(maxsize=8)
def back(size: int, length: int) -> torch.Tensor:
    """(length, 2 F): the first ``length`` numbers from real and imaginary parts."""
    matrix = cosines(size, length).double().T * 2 / size
    matrix[:, [0, size // 2, size // 2 + 1, -1]] /= 2  # both ends stand for one frequency alone
    return matrix.float()
