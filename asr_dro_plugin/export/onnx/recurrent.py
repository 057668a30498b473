"""DeepSpeech 2 for a graph: ONNX's GRU takes lengths, and its backward direction begins at them.

Shapes: B utterances, T frames in, S frames out, D features, F frequencies, C channels, H hidden.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr_dro_plugin.export.onnx.features import Batch, mask_of
from asr_dro_plugin.nets.deepspeech2 import DeepSpeech2, conv_length


class FixedNorm(nn.Module):
    """A batch norm in evaluation: factor and summand of each channel, (..., C)."""

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        summand = norm.bias.double() - norm.running_mean.double() * factor
        self.register_buffer("factor", factor.detach().float())
        self.register_buffer("summand", summand.detach().float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor + self.summand


class DeepSpeech2Graph(nn.Module):
    """(B, T, D), (B,) -> (B, S, H) or (B, S, 2 H), (B,)."""

    def __init__(self, net: DeepSpeech2) -> None:
        super().__init__()
        self.convs, self.layers, self.norm = net.convs, net.layers, net.norm
        self.conv_norms = nn.ModuleList(FixedNorm(conv.norm) for conv in net.convs)
        self.layer_norms = nn.ModuleList(FixedNorm(layer.norm) for layer in net.layers)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> Batch:
        x = (features * mask_of(lengths, features)[:, :, None]).transpose(1, 2)[:, None]
        for layer, norm in zip(self.convs, self.conv_norms, strict=True):
            conv = layer.conv
            x = norm(conv(x).permute(0, 3, 2, 1)).clamp(0, layer.ceiling)  # (B, T, F, C)
            lengths = conv_length(lengths, conv.kernel_size[1], conv.stride[1], conv.padding[1])
            x = (x * mask_of(lengths, x)[:, :, None, None]).permute(0, 3, 2, 1)
        x = x.flatten(1, 2).transpose(1, 2)
        for layer, norm in zip(self.layers, self.layer_norms, strict=True):
            x = torch.relu(norm(x)) if layer.norm_is_first else x
            # The graph asks for no order of lengths; the ones that are traced have it.
            packed, _ = layer.gru(pack_padded_sequence(x, lengths, batch_first=True))
            x, _ = pad_packed_sequence(packed, batch_first=True)
            if layer.sums_directions:
                forwards, backwards = x.chunk(2, dim=2)
                x = forwards + backwards
            x = x if layer.norm_is_first else norm(x)
        return x if self.norm is None else self.norm(x), lengths
