"""Two layouts of a batch's frames for networks of convolutions in which no padding may leak.

``PackedFrames`` is for training and decoding: the valid frames of all utterances in a row, so that
no layer computes padding, and means and variances are those of real frames.  ``PaddedFrames`` is
for tracing and export: tensors of one shape, masked before every convolution that looks beyond its
frame.  In evaluation both give the same.

Shapes: B utterances, T frames, N valid frames of the whole batch, C channels, K taps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from asr_dro_plugin.nets.depthwise import depthwise_conv
from asr_dro_plugin.nets.masks import frame_mask, strided_length

# Smaller convolutions are quicker multiplied tap by tap.
FEWEST_TAPS, FEWEST_PRODUCTS = 17, 1 << 18


@dataclass(frozen=True)
class PackedFrames:
    """(1, C, N): the frames of the utterances, one utterance after the other."""

    lengths: tuple[int, ...]

    @staticmethod
    def pack(features: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """(B, T, C) -> (1, C, N)."""
        rows = zip(features, lengths, strict=True)
        return torch.cat([row[:length].t() for row, length in rows], dim=1)[None]

    def unpack(self, x: torch.Tensor) -> torch.Tensor:
        """(1, C, N) -> (B, T, C), zero behind each utterance."""
        rows = x[0].t().split(list(self.lengths))
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

    def convolve(self, x: torch.Tensor, conv: torch.nn.Conv1d) -> torch.Tensor:
        """A convolution of "same" padding over each utterance."""
        if _is_wide(conv, x):
            dilation = conv.dilation[0]
            return depthwise_conv(x[0], conv.weight[:, 0], self.lengths, dilation)[None]
        if len(self.lengths) == 1 or conv.kernel_size[0] == 1 and conv.stride[0] == 1:
            return conv(x)
        return self._between_zeros(x, conv)

    def _between_zeros(self, x: torch.Tensor, conv: torch.nn.Conv1d) -> torch.Tensor:
        """The utterances as one signal, with as many zeros between them as the kernel reaches."""
        reach, stride = conv.padding[0], conv.stride[0]
        pieces, starts, start = [x.new_zeros(1, x.shape[1], reach)], [], 0
        for part in x.split(list(self.lengths), dim=2):
            gap = reach + -(part.shape[2] + reach) % stride
            pieces += [part, x.new_zeros(1, x.shape[1], gap)]
            starts.append(start // stride)
            start += part.shape[2] + gap
        y = torch.nn.functional.conv1d(
            torch.cat(pieces, dim=2), conv.weight, conv.bias, stride, 0, conv.dilation, conv.groups
        )
        lengths = self.strided(stride).lengths
        spans = zip(starts, lengths, strict=True)
        return torch.cat([y[:, :, first : first + length] for first, length in spans], dim=2)

    def strided(self, stride: int) -> "PackedFrames":
        """The frames that a convolution of ``stride`` leaves."""
        return PackedFrames(tuple(strided_length(length, stride) for length in self.lengths))

    def means(self, x: torch.Tensor) -> torch.Tensor:
        """(1, C, N) -> (B, C), over the frames of each utterance."""
        parts = x[0].split(list(self.lengths), dim=1)
        return torch.stack([part.sum(dim=1) / max(1, part.shape[1]) for part in parts])

    def scaled(self, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """(1, C, N) times (B, C), each utterance by its own."""
        repeats = torch.tensor(self.lengths, device=x.device)
        return x * gates.repeat_interleave(repeats, dim=0, output_size=x.shape[2]).t()


@dataclass(frozen=True)
class PaddedFrames:
    """(B, C, T) with the lengths (B,) of the utterances; None, as in ``lengths``, masks nothing."""

    lengths: torch.Tensor | None

    def convolve(self, x: torch.Tensor, conv: torch.nn.Conv1d) -> torch.Tensor:
        """A convolution of "same" padding over each utterance."""
        if conv.kernel_size[0] == 1 and conv.stride[0] == 1:
            return conv(x)
        return conv(self._masked(x))

    def strided(self, stride: int) -> "PaddedFrames":
        """The frames that a convolution of ``stride`` leaves."""
        if self.lengths is None:
            return self
        return PaddedFrames(strided_length(self.lengths, stride))

    def means(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T) -> (B, C), over the frames of each utterance."""
        if self.lengths is None:
            return x.mean(dim=2)
        return self._masked(x).sum(dim=2) / self.lengths.clamp(min=1)[:, None]

    def scaled(self, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """(B, C, T) times (B, C)."""
        return x * gates[:, :, None]

    def unpack(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, T) -> (B, T, C), zero behind each utterance."""
        return self._masked(x).transpose(1, 2)

    def _masked(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.lengths is None else x * frame_mask(self.lengths, x.shape[2])


def _is_wide(conv: torch.nn.Conv1d, x: torch.Tensor) -> bool:
    """Whether the Fourier transform is quicker."""
    taps = conv.kernel_size[0]
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and conv.groups == conv.in_channels == conv.out_channels > 1
        and conv.stride[0] == 1
        and conv.bias is None
        and taps >= FEWEST_TAPS
        and taps * x[0].numel() >= FEWEST_PRODUCTS
    )
