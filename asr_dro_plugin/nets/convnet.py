"""A small residual convolutional network for CTC, quick on a CPU.

Strided convolutions bring the frame rate down, residual convolutions of odd width see about a
second around each frame, and a squeeze-and-excitation gate (Hu et al. 2018, arXiv:1709.01507) in
each block lets the whole utterance, its language above all, tune the channels.  Without the gates a
frame depends on that second alone, and speech can be transcribed exactly while it is said.  All
normalisation is per frame (layer norm) and all convolutions are masked, so an utterance gives the
same output alone and padded in a batch.

Shapes: B utterances, T frames in, S frames out, D input features, H channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from asr_dro_plugin.nets.masks import frame_mask, strided_length


class ChannelNorm(torch.nn.LayerNorm):
    """Layer norm over the channels of a (B, H, T) tensor, frame by frame."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class UtteranceGate(torch.nn.Module):
    """Squeeze-and-excitation over the valid frames of each utterance."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = torch.nn.Linear(channels, channels // reduction)
        self.excite = torch.nn.Linear(channels // reduction, channels)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scale ``x`` (B, H, T), whose padded frames are zero, by a gate (B, H, 1)."""
        mean = x.sum(dim=2) / mask.sum(dim=2).clamp(min=1)
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(mean))))
        return x * gate.unsqueeze(2)


class StridedConv(torch.nn.Module):
    """Masked convolution, norm and ReLU that keeps every ``stride``-th frame."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = torch.nn.Conv1d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2
        )
        self.norm = ChannelNorm(out_channels)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, D, T), (B,) -> (B, H, ceil(T / stride)), (B,); padded frames are zero."""
        x = self.conv(x * frame_mask(lengths, x.shape[2]))
        lengths = strided_length(lengths, self.stride)
        return F.relu(self.norm(x)) * frame_mask(lengths, x.shape[2]), lengths


class ResidualBlock(torch.nn.Module):
    """Norm, masked convolution, ReLU, dropout and utterance gate beside an identity path."""

    def __init__(self, channels: int, kernel_size: int, dropout: float, gates: bool = True) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.conv = torch.nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2)
        self.dropout = torch.nn.Dropout(dropout)
        self.gate = UtteranceGate(channels) if gates else None

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, H, T) and the (B, 1, T) mask of valid frames -> (B, H, T)."""
        y = self.conv(self.norm(x) * mask)
        y = self.dropout(F.relu(y)) * mask
        return x + (y if self.gate is None else self.gate(y, mask))


class ConvNet(torch.nn.Module):
    """Strided convolutions followed by residual blocks.

    Args:
        input_size: D, features of a frame.
        hidden_size: H, channels; also the output size.
        num_blocks: residual blocks.
        kernel_size: width of every convolution in frames; odd.
        strides: one strided convolution each; (2, 2) makes 40 ms frames of 10 ms ones.
        dropout: in the residual blocks, 0..1.
        gates: whether the utterance's mean gates each block.
        interctc_layer_idx: blocks, counted from 1, whose output ``layers`` gives too, as ESPnet
            calls them; the last one is the output itself and none of them.

    Raises:
        ValueError: an even kernel, no strides, a stride below 1, or a block that is not there.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 256,
        num_blocks: int = 6,
        kernel_size: int = 7,
        strides: Sequence[int] = (2, 2),
        dropout: float = 0.1,
        gates: bool = True,
        interctc_layer_idx: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {kernel_size}.")
        if not set(interctc_layer_idx) <= set(range(1, num_blocks)):
            raise ValueError(
                f"interctc_layer_idx must be between 1 and {num_blocks - 1}, not "
                f"{list(interctc_layer_idx)}."
            )
        if not strides or min(strides) < 1:
            raise ValueError(f"strides must be positive integers, not {list(strides)}.")
        self.strides = tuple(strides)
        sizes = [input_size] + [hidden_size] * len(self.strides)
        self.subsampling = torch.nn.ModuleList(
            StridedConv(size, hidden_size, kernel_size, stride)
            for size, stride in zip(sizes, self.strides, strict=False)
        )
        self.blocks = torch.nn.ModuleList(
            ResidualBlock(hidden_size, kernel_size, dropout, gates) for _ in range(num_blocks)
        )
        self.norm = ChannelNorm(hidden_size)
        self.output_size = hidden_size
        self.between = frozenset(interctc_layer_idx)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode.

        Args:
            features: (B, T, D).
            lengths: (B,) valid frames.

        Returns:
            (B, S, H) and its lengths (B,), S = T divided by each stride and rounded up.
        """
        x, _, lengths = self.layers(features, lengths)
        return x, lengths

    def layers(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[int, torch.Tensor]], torch.Tensor]:
        """The same, and between the two (k, (B, S, H)) for each block k of ``interctc_layer_idx``,
        normalised as the output is (Lee and Watanabe 2021, arXiv:2102.03216)."""
        x, between = features.transpose(1, 2), []
        for layer in self.subsampling:
            x, lengths = layer(x, lengths)
        mask = frame_mask(lengths, x.shape[2])
        for number, block in enumerate(self.blocks, 1):
            x = block(x, mask)
            if number in self.between:
                between.append((number, self.norm(x).transpose(1, 2)))
        return self.norm(x).transpose(1, 2), between, lengths
