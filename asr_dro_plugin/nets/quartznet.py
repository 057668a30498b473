"""QuartzNet (Kriman et al. 2020, arXiv:1910.10261): separable convolutions over time for CTC.

A separable sub-block is a depthwise convolution, a pointwise one, batch norm, ReLU and dropout; a
block is one or several of them, with a residual path beside them (pointwise convolution and batch
norm), behind which the last ReLU and dropout stand.  QuartzNet 5x5, 10x5 and 15x5 repeat each of
five shapes of block once, twice and three times.

Padded frames enter neither convolutions nor batch norms nor the gates (``frame_layouts``).

Shapes: B utterances, T frames in, S frames out, D input features, C channels, N valid frames.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch

from asr_dro_plugin.nets.frame_layouts import PackedFrames, PaddedFrames
from asr_dro_plugin.nets.masks import strided_length

Layout = PackedFrames | PaddedFrames

# Channels and kernel of B1 to B5 (table 1 of the paper), between C1, C2 and C3.
GROUPS = ((256, 33), (256, 39), (512, 51), (512, 63), (512, 75))
REDUCTION = 8  # of the gate
EPS, MOMENTUM = 1e-3, 0.1  # of every batch norm


@dataclass(frozen=True)
class BlockShape:
    """One block, in the words of NeMo's configurations.

    Args:
        filters: channels out.
        repeat: sub-blocks.
        kernel: taps; odd, so that a frame has as many neighbours on either side.
        stride, dilation: of the convolution over time.
        residual: with a path beside the sub-blocks.
        separable: depthwise and pointwise convolution; else one of both in one.
        se: with a squeeze-and-excitation gate behind the sub-blocks.

    Raises:
        ValueError: a shape that is no "same" convolution.
    """

    filters: int
    repeat: int = 1
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    residual: bool = False
    separable: bool = True
    se: bool = False

    def __post_init__(self) -> None:
        for name in ("filters", "repeat", "kernel", "stride", "dilation"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"a block's {name} is {value!r}; it must be a number from 1 up.")
        if self.stride > 1 and self.dilation > 1:
            raise ValueError(
                f"stride {self.stride} and dilation {self.dilation} exclude each other."
            )
        if self.stride > 1 and (self.repeat > 1 or self.residual):
            raise ValueError(f"stride {self.stride} needs repeat 1 and no residual path.")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}.")

    @property
    def padding(self) -> int:
        """Zeros on either side."""
        return self.dilation * (self.kernel - 1) // 2


def block_shape(block: Mapping) -> BlockShape:
    """A block's shape as a YAML writes it.

    Raises:
        ValueError: a word that is none of ``BlockShape``'s.
    """
    known = [field.name for field in fields(BlockShape)]
    for word in block:
        if word not in known:
            raise ValueError(f"a block has '{word}', which is none of {', '.join(known)}.")
    return BlockShape(**block)


def quartznet_blocks(
    num_repeats: int = 3, repeat: int = 5, width: float = 1.0, se: bool = False
) -> list[BlockShape]:
    """The blocks of QuartzNet 5x5, 10x5 and 15x5: ``num_repeats`` 1, 2 and 3.

    Args:
        num_repeats: blocks of each of the five shapes.
        repeat: sub-blocks of each.
        width: factor of the channels; 1 as published.
        se: with gates in B1 to B5.
    """
    if num_repeats < 1 or repeat < 1 or width <= 0:
        raise ValueError(
            f"num_repeats {num_repeats}, repeat {repeat} and width {width} must be positive."
        )

    def channels(published: int) -> int:
        return max(1, round(width * published))

    return [
        BlockShape(channels(256), kernel=33, stride=2),
        *(
            BlockShape(channels(filters), repeat, kernel, residual=True, se=se)
            for filters, kernel in GROUPS
            for _ in range(num_repeats)
        ),
        BlockShape(channels(512), kernel=87, dilation=2),
        BlockShape(channels(1024), kernel=1, separable=False),
    ]


class SubBlock(torch.nn.Module):
    """Convolution over time, pointwise convolution if separable, batch norm."""

    def __init__(self, in_channels: int, shape: BlockShape) -> None:
        super().__init__()
        self.depthwise = None
        size = (shape.kernel, shape.stride, shape.padding, shape.dilation)
        if shape.separable:
            self.depthwise = torch.nn.Conv1d(
                in_channels, in_channels, *size, groups=in_channels, bias=False
            )
            size = (1,)
        self.pointwise = torch.nn.Conv1d(in_channels, shape.filters, *size, bias=False)
        self.norm = torch.nn.BatchNorm1d(shape.filters, EPS, MOMENTUM)
        self.stride = shape.stride

    def forward(self, x: torch.Tensor, frames: Layout) -> tuple[torch.Tensor, Layout]:
        """Frames of a layout in, frames of the layout behind the stride out."""
        if self.depthwise is None:
            x = frames.convolve(x, self.pointwise)
        else:
            x = self.pointwise(frames.convolve(x, self.depthwise))
        return self.norm(x), frames if self.stride == 1 else frames.strided(self.stride)


class Gate(torch.nn.Module):
    """Squeeze and excitation (Hu et al. 2018, arXiv:1709.01507) over each utterance's frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // REDUCTION)
        self.squeeze = torch.nn.Linear(channels, narrow, bias=False)
        self.excite = torch.nn.Linear(narrow, channels, bias=False)

    def forward(self, x: torch.Tensor, frames: Layout) -> torch.Tensor:
        """Scale the channels of each utterance by 0..1."""
        narrow = torch.relu(self.squeeze(frames.means(x)))
        return frames.scaled(x, torch.sigmoid(self.excite(narrow)))


def residual_path(in_channels: int, out_channels: int) -> torch.nn.Sequential:
    """Pointwise convolution and batch norm, also where the channels stay as many."""
    conv = torch.nn.Conv1d(in_channels, out_channels, 1, bias=False)
    norm = torch.nn.BatchNorm1d(out_channels, EPS, MOMENTUM)
    return torch.nn.Sequential(OrderedDict(conv=conv, norm=norm))


class QuartzNetBlock(torch.nn.Module):
    """Sub-blocks with ReLU and dropout between them, a gate, and the residual path."""

    def __init__(self, in_channels: int, shape: BlockShape, dropout: float) -> None:
        super().__init__()
        channels = [in_channels] + [shape.filters] * (shape.repeat - 1)
        self.subblocks = torch.nn.ModuleList(SubBlock(size, shape) for size in channels)
        self.gate = Gate(shape.filters) if shape.se else None
        self.residual = residual_path(in_channels, shape.filters) if shape.residual else None
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, frames: Layout) -> tuple[torch.Tensor, Layout]:
        """Frames of a layout in, frames of the layout behind the stride out."""
        beside = self.residual(x) if self.residual else None
        for index, subblock in enumerate(self.subblocks):
            if index:
                x = self.dropout(torch.relu_(x))
            x, frames = subblock(x, frames)
        if self.gate:
            x = self.gate(x, frames)
        if beside is not None:
            x = x + beside
        return self.dropout(torch.relu_(x)), frames


class QuartzNet(torch.nn.Module):
    """QuartzNet without its last, linear layer.

    Args:
        input_size: D, features of a frame.
        num_repeats, repeat, width, se: of ``quartznet_blocks``; 15x5 by default.
        dropout: behind every ReLU, 0..1.
        blocks: shapes (the fields of ``BlockShape``) instead of the published ones, as an imported
            model has them.
        conv_mask: padding enters nothing.  Without it, as in models that were trained so, an
            utterance's output depends on how far the batch pads it.

    Raises:
        ValueError: a shape that is no "same" convolution.
    """

    def __init__(
        self,
        input_size: int,
        num_repeats: int = 3,
        repeat: int = 5,
        width: float = 1.0,
        se: bool = False,
        dropout: float = 0.0,
        blocks: Sequence[Mapping] | None = None,
        conv_mask: bool = True,
    ) -> None:
        super().__init__()
        if blocks is None:
            self.shapes = quartznet_blocks(num_repeats, repeat, width, se)
        else:
            self.shapes = [block_shape(block) for block in blocks]
        sizes = [input_size, *(shape.filters for shape in self.shapes)]
        self.blocks = torch.nn.ModuleList(
            QuartzNetBlock(size, shape, dropout)
            for size, shape in zip(sizes, self.shapes, strict=False)
        )
        self.conv_mask = conv_mask
        self.output_size = sizes[-1]
        for module in self.modules():
            if isinstance(module, torch.nn.Conv1d):
                torch.nn.init.xavier_uniform_(module.weight)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode.

        Args:
            features: (B, T, D).
            lengths: (B,) valid frames.

        Returns:
            (B, S, C), zero behind each utterance, and its lengths (B,), S = ceil(T / 2).
        """
        x, frames = self._laid_out(features, lengths)
        for block in self.blocks:
            x, frames = block(x, frames)
        for shape in self.shapes:
            lengths = strided_length(lengths, shape.stride)
        return frames.unpack(x), lengths

    def _laid_out(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, Layout]:
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            return features.transpose(1, 2), PaddedFrames(lengths if self.conv_mask else None)
        sizes = lengths.tolist() if self.conv_mask else [features.shape[1]] * len(features)
        return PackedFrames.pack(features, sizes), PackedFrames(tuple(sizes))


def nemo_names(net: QuartzNet, conv_mask: bool | None = None) -> dict[str, str]:
    """Our name of every tensor in the state of ``net`` -> its name in a NeMo model's state.

    Args:
        net: whose tensors they are.
        conv_mask: whether the NeMo model masks its convolutions, which puts ``conv.`` before their
            weights; None for what ``net`` does.
    """
    masked = "conv." if (net.conv_mask if conv_mask is None else conv_mask) else ""
    names = {}
    for index, block in enumerate(net.blocks):
        ours, theirs = f"blocks.{index}.", f"encoder.encoder.{index}."
        place = 0
        for number, subblock in enumerate(block.subblocks):
            head = f"{ours}subblocks.{number}."
            parts = ["depthwise"] * (subblock.depthwise is not None) + ["pointwise"]
            for part in parts:
                names[f"{head}{part}.weight"] = f"{theirs}mconv.{place}.{masked}weight"
                place += 1
            names |= _norm_names(subblock.norm, f"{head}norm.", f"{theirs}mconv.{place}.")
            place += 1 if number == len(block.subblocks) - 1 else 3  # ReLU and dropout
        if block.gate:
            for part, layer in (("squeeze", 0), ("excite", 2)):
                names[f"{ours}gate.{part}.weight"] = f"{theirs}mconv.{place}.fc.{layer}.weight"
        if block.residual:
            names[f"{ours}residual.conv.weight"] = f"{theirs}res.0.0.{masked}weight"
            names |= _norm_names(block.residual.norm, f"{ours}residual.norm.", f"{theirs}res.0.1.")
    return names


def _norm_names(norm: torch.nn.Module, ours: str, theirs: str) -> dict[str, str]:
    return {ours + name: theirs + name for name in norm.state_dict()}
