"""DeepSpeech 2 (Amodei et al. 2016, arXiv:1512.02595) in the two shapes in which it is published.

``hw2``: three convolutions with bias, batch norm and ReLU (a frame in four is left), then three
bidirectional GRUs whose directions are summed, each with a batch norm behind it.
``sooftware``: two convolutions without bias, batch norm and a hard tanh of 0..20 (a frame in two is
left), then five times batch norm, ReLU and a bidirectional GRU whose directions are joined, and a
layer norm at the end.

Padded frames never enter anything: they are zero before every convolution, they are left out of
the means and variances of the batch norms, and the GRUs run over packed sequences, so the backward
direction begins at an utterance's own last frame.  Every GRU begins at zero, whatever the layer
below ended with.

Shapes: B utterances, T frames in, S frames out, D input features, F frequencies, C channels, H
hidden size, N valid frames of the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from asr_dro_plugin.nets.masks import frame_mask

# With 19 to 22 features and the first kernel of 41, torch 2.13's convolution on a CPU writes where
# it must not in the backward pass, and the process dies.
MIN_FEATURES = 40


@dataclass(frozen=True)
class Convolution:
    """Kernel, stride and padding of a convolution, each over (frequency, time)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Variant:
    """What one published shape differs in from the other."""

    convolutions: tuple[Convolution, ...]
    channels: tuple[int, ...]
    num_layers: int
    conv_bias: bool
    ceiling: float | None  # of the hard tanh after each convolution; None: ReLU, which has none
    sums_directions: bool  # else they are joined
    norm_is_first: bool  # batch norm and ReLU before each GRU, else batch norm behind it


FIRST, LAST = Convolution((41, 11), (2, 2), (20, 5)), Convolution((21, 11), (2, 1), (10, 5))
VARIANTS = {
    "hw2": Variant(
        convolutions=(FIRST, Convolution((21, 11), (2, 2), (10, 5)), LAST), channels=(32, 32, 96),
        num_layers=3, conv_bias=True, ceiling=None, sums_directions=True, norm_is_first=False,
    ),
    "sooftware": Variant(
        convolutions=(FIRST, LAST), channels=(32, 32),
        num_layers=5, conv_bias=False, ceiling=20.0, sums_directions=False, norm_is_first=True,
    ),
}  # fmt: skip


def conv_length(length, kernel: int, stride: int, padding: int):
    """Frames after a convolution: floor((L + 2 padding - kernel) / stride) + 1.

    Works on ints, numpy arrays and tensors alike.
    """
    return (length + 2 * padding - kernel) // stride + 1


class MaskedBatchNorm(torch.nn.BatchNorm1d):
    """Batch norm of (B, C, F, T) over the frames that are no padding; padded frames become zero."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Normalise ``x`` over B, F and the frames that ``mask`` (B, T) marks as valid."""
        frames = x.permute(0, 3, 1, 2)
        normed = torch.zeros_like(frames)
        normed[mask] = super().forward(frames[mask]).to(normed.dtype)  # (N, C, F)
        return normed.permute(0, 2, 3, 1)


class MaskedConv(torch.nn.Module):
    """Convolution, batch norm and non-linearity over (B, C, F, T)."""

    def __init__(
        self, in_channels: int, out_channels: int, shape: Convolution, variant: Variant
    ) -> None:
        super().__init__()
        size = (shape.kernel, shape.stride, shape.padding)
        self.conv = torch.nn.Conv2d(in_channels, out_channels, *size, bias=variant.conv_bias)
        self.norm = MaskedBatchNorm(out_channels)
        self.ceiling = variant.ceiling

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, F, T) whose padded frames are zero, (B,) -> the same after the convolution."""
        x = self.conv(x)
        lengths = conv_length(
            lengths, self.conv.kernel_size[1], self.conv.stride[1], self.conv.padding[1]
        )
        mask = frame_mask(lengths, x.shape[3]).squeeze(1)
        return self.norm(x, mask).clamp(0, self.ceiling), lengths  # padded frames stay zero


class RecurrentLayer(torch.nn.Module):
    """Bidirectional GRU over packed sequences with its batch norm, before it or behind it."""

    def __init__(self, input_size: int, hidden_size: int, variant: Variant) -> None:
        super().__init__()
        self.norm_is_first, self.sums_directions = variant.norm_is_first, variant.sums_directions
        self.gru = torch.nn.GRU(input_size, hidden_size, batch_first=True, bidirectional=True)
        self.norm = torch.nn.BatchNorm1d(input_size if self.norm_is_first else hidden_size)

    def forward(self, packed: PackedSequence) -> PackedSequence:
        """(N, D) packed -> (N, H), or (N, 2 H) where the directions are joined."""
        if self.norm_is_first:
            packed = packed._replace(data=torch.relu(self.norm(packed.data)))
        packed, _ = self.gru(packed)  # begins at zero in every layer
        if self.sums_directions:
            forwards, backwards = packed.data.chunk(2, dim=-1)
            packed = packed._replace(data=forwards + backwards)
        if not self.norm_is_first:
            packed = packed._replace(data=self.norm(packed.data))
        return packed


class DeepSpeech2(torch.nn.Module):
    """Masked convolutions over frequency and time, then bidirectional GRUs.

    With 128 features the parameters are 13,565,504 (``hw2``), and 13,579,868 with its linear layer
    of 28 outputs; with 80 features 22,706,656 (``sooftware``), and 1,024 for each output of its
    linear layer, which has no bias where it was published: as an encoder in front of ESPnet's CTC
    layer, which has one, it has one parameter an output more.

    Args:
        input_size: D, features of a frame, 40 at least.
        variant: ``hw2`` or ``sooftware``.
        hidden_size: H of each direction.
        num_layers: GRUs; None: as published, 3 or 5.
        channels: of each convolution; None: as published, (32, 32, 96) or (32, 32).
        dropout: between the GRUs, 0..1.

    Raises:
        ValueError: an unknown variant, channels for another number of convolutions, too few
            features.
    """

    def __init__(
        self,
        input_size: int,
        variant: str = "hw2",
        hidden_size: int = 512,
        num_layers: int | None = None,
        channels: Sequence[int] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant is '{variant}', it must be one of {', '.join(VARIANTS)}.")
        if input_size < MIN_FEATURES:
            raise ValueError(f"input_size is {input_size}, it must be at least {MIN_FEATURES}.")
        shape = VARIANTS[variant]
        channels = tuple(channels or shape.channels)
        if len(channels) != len(shape.convolutions):
            raise ValueError(
                f"channels are {list(channels)}, there must be {len(shape.convolutions)} of them: "
                f"one for each convolution of variant {variant}."
            )
        self.convs, size = _convolutions(shape, channels, input_size)
        self.output_size = hidden_size if shape.sums_directions else 2 * hidden_size
        num_layers = num_layers or shape.num_layers
        sizes = [size] + [self.output_size] * (num_layers - 1)
        self.layers = torch.nn.ModuleList(RecurrentLayer(n, hidden_size, shape) for n in sizes)
        self.dropout = torch.nn.Dropout(dropout)
        self.norm = torch.nn.LayerNorm(self.output_size) if shape.norm_is_first else None

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode.

        Args:
            features: (B, T, D).
            lengths: (B,) valid frames, 1 at least.

        Returns:
            (B, S, H) or (B, S, 2 H), zero behind an utterance's end, and its lengths (B,).
        """
        mask = frame_mask(lengths, features.shape[1])
        x = (features.transpose(1, 2) * mask).unsqueeze(1)
        for conv in self.convs:
            x, lengths = conv(x, lengths)
        x = x.flatten(1, 2).transpose(1, 2)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        for number, layer in enumerate(self.layers):
            if number > 0:
                packed = packed._replace(data=self.dropout(packed.data))
            packed = layer(packed)
        if self.norm is not None:
            packed = packed._replace(data=self.norm(packed.data))
        out, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        return out, lengths


def _convolutions(
    shape: Variant, channels: Sequence[int], input_size: int
) -> tuple[torch.nn.ModuleList, int]:
    """The convolutions, and channels times frequencies that they leave."""
    convs, size, before = torch.nn.ModuleList(), input_size, 1
    for conv, after in zip(shape.convolutions, channels, strict=True):
        convs.append(MaskedConv(before, after, conv, shape))
        size = conv_length(size, conv.kernel[0], conv.stride[0], conv.padding[0])
        before = after
    return convs, before * size
