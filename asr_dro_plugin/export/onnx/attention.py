"""ESPnet's encoders ``transformer`` and ``conformer`` for a graph.

Shapes: B utterances, T frames, D features, S frames behind the input layer, H channels.
"""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from asr_dro_plugin.export.onnx.features import Batch, mask_of


class AttentionEncoder(nn.Module):
    """(B, T, D), (B,) -> (B, S, H), (B,) by the modules of an encoder, which is changed.

    ESPnet's own forward pass looks at the longest utterance, and at tables of positions that end
    somewhere.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        embed = nn.ModuleList([encoder.embed]) if encoder.embed is not None else nn.ModuleList()
        for module in list(embed.modules()):
            for name, child in module.named_children():
                if type(child).__name__ in POSITIONS:
                    setattr(module, name, POSITIONS[type(child).__name__](child))
        layers = getattr(encoder.embed, "conv", ())
        convolutions = [layer for layer in layers if hasattr(layer, "stride")]
        self.strides = [(conv.kernel_size[0], conv.stride[0]) for conv in convolutions]

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Batch:
        encoder = self.encoder
        for kernel, stride in self.strides:
            lengths = ((lengths - kernel) // stride + 1).clamp(min=0)
        if self.strides:
            x, _ = encoder.embed(x, None)
        elif encoder.embed is not None:
            x = encoder.embed(x)
        inside = mask_of(lengths, x[0] if isinstance(x, tuple) else x)[:, None]
        for layer in encoder.encoders:
            x, _ = layer(x, inside)
        x = x[0] if isinstance(x, tuple) else x
        return encoder.after_norm(x) if encoder.normalize_before else x, lengths


def problems(conf: Mapping) -> Iterator[str]:
    """Settings of such an encoder that have no graph."""
    for key in ("interctc_use_conditioning", "ctc_trim"):
        if conf.get(key):
            yield f"encoder_conf.{key} is true, which no graph is written for"
    kind = conf.get("pos_enc_layer_type", "")
    if conf.get("rel_pos_type") == "legacy" and kind in ("rel_pos", "legacy_rel_pos"):
        yield (
            "encoder_conf.rel_pos_type is legacy, whose positions count from the end of the batch, "
            "so that no utterance is the same in a batch and alone"
        )
    if kind in ("conv", "stream"):
        yield f"encoder_conf.pos_enc_layer_type is {kind}, which no graph is written for"


class Sinusoid(nn.Module):
    """(T,) positions -> (1, T, D): sines and cosines in turn, as ESPnet's tables hold them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        steps = torch.arange(0, size, 2, dtype=torch.float32)
        self.register_buffer("rates", torch.exp(steps * -(math.log(10000.0) / size)))

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        angles = positions.float()[:, None] * self.rates
        return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[None]


class AbsolutePosition(nn.Module):
    """Of ``PositionalEncoding`` and ``ScaledPositionalEncoding``."""

    def __init__(self, encoding: nn.Module) -> None:
        super().__init__()
        self.table = Sinusoid(encoding.d_model)
        learnt = getattr(encoding, "alpha", None)
        self.of_x = encoding.xscale if learnt is None else 1.0
        self.of_table = 1.0 if learnt is None else float(learnt)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = self.table(torch.arange(x.shape[1], device=x.device))
        return x * self.of_x + table * self.of_table


class RelativePosition(nn.Module):
    """Of ``RelPositionalEncoding``: from T - 1 to the left to T - 1 to the right."""

    def __init__(self, encoding: nn.Module) -> None:
        super().__init__()
        self.table, self.scale = Sinusoid(encoding.d_model), encoding.xscale

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frames = torch.arange(x.shape[1], device=x.device)
        behind = torch.arange(1, x.shape[1], device=x.device)
        return x * self.scale, self.table(torch.cat([frames.flip(0), -behind]))


POSITIONS = {
    "PositionalEncoding": AbsolutePosition,
    "ScaledPositionalEncoding": AbsolutePosition,
    "RelPositionalEncoding": RelativePosition,
}
