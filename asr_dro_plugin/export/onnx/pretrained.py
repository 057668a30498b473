"""Pretrained speech models for a graph: wav2vec 2.0 and its kin, and Whisper's encoder.

Shapes: B utterances, N samples, T frames, D features.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from asr_dro_plugin.export.onnx.features import Batch, WhisperLogMelGraph
from asr_dro_plugin.features.whisper_mel import HOP
from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net
from asr_dro_plugin.nets.hidden_layers import WhisperHiddenLayers, pooled
from asr_dro_plugin.nets.masks import strided_length
from asr_dro_plugin.nets.whisper import WhisperEncoder


def wav2vec2(net: HFWav2Vec2Net) -> nn.Module:
    """The network itself, as its forward pass is while it is traced.

    Padding is kept out also of a model that counts it as speech: in a batch of one there is none.
    """
    net.attention_mask = True
    without_weight_norm(net)
    return net


def without_weight_norm(net: nn.Module) -> None:
    """Weights that are made of a direction and a size, as the numbers that they are."""
    for module in net.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


class WhisperEncoderGraph(nn.Module):
    """Encoder ``hf_whisper``: (B, N), (B,) -> (B, S, H), (B,)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.net: WhisperEncoder = encoder.net
        self.features = WhisperLogMelGraph(encoder.features)

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        features, heard = self.features(speech, lengths)
        *_, last = self.net.states(features, heard)
        return last, strided_length(heard, 2)


class WhisperStatesGraph(nn.Module):
    """Frontend ``hf_whisper``: (B, N), (B,) -> (B, T, D), (B,)."""

    def __init__(self, frontend: nn.Module) -> None:
        super().__init__()
        self.net: WhisperHiddenLayers = frontend.net
        self.features = WhisperLogMelGraph(self.net.features)

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        net = self.net
        features, heard = self.features(speech, lengths)
        most = strided_length(strided_length(speech.shape[1], HOP), 2)
        frames = strided_length((lengths // HOP).clamp(min=1), 2)
        kept = []
        for number, state in enumerate(net.model.states(features, heard)):
            if number in net.numbers:
                state = pooled(state[:, :most], frames, net.pool)
                kept.append(F.layer_norm(state, (net.output_size,)) if net.normalize else state)
        weights = net.layer_weights.softmax(0)
        total = sum(weights[place] * state for place, state in enumerate(kept))
        return total, strided_length(frames, net.pool)
