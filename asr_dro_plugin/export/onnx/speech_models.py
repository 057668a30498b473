"""What fairseq and s3prl compute, by our own network of wav2vec 2.0: its tensors are the same.

Shapes: B utterances, N samples, T frames, D features.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from asr_dro_plugin.export.onnx.features import Batch, mask_of
from asr_dro_plugin.export.onnx.pretrained import without_weight_norm
from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net
from asr_dro_plugin.nets.masks import strided_length
from asr_dro_plugin.pretrained.fairseq_config import model_config
from asr_dro_plugin.pretrained.fairseq_files import identity_projection
from asr_dro_plugin.pretrained.fairseq_names import sort_tensors

FRAME = 320  # samples of a hidden state of s3prl's
LEAST = 800  # samples to which s3prl fills a shorter batch up
EPS_OF_FAIRSEQ, EPS_OF_HF = 1e-5, 1e-7  # beside the variance of the samples
UPSTREAMS = ("hf_wav2vec2_custom", "wav2vec2_custom")


class FairseqEncoder(nn.Module):
    """ESPnet's encoder ``wav2vec2``: (B, N), (B,) -> (B, T, D), (B,)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.net = filled(*of_fairseq(encoder.encoders))
        self.net.shares = (*[0.0] * self.net.config.num_hidden_layers, 1.0)
        self.projection = encoder.output_layer
        self.norm = encoder.after_norm if encoder.normalize_before else None

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        x, lengths = self.net(speech, lengths)
        x = x if self.projection is None else self.projection(x)
        return x if self.norm is None else self.norm(x), lengths


def filled(network: Mapping, tensors: Mapping[str, torch.Tensor]) -> "SelectedStates":
    """Our network of a configuration with these tensors, of transformers' names."""
    net = SelectedStates(network, layers="weighted", do_normalize=False)
    net.load_weights(tensors, "the model")
    without_weight_norm(net)
    return net.eval()


def of_fairseq(model: nn.Module) -> tuple[dict, dict]:
    """Configuration and tensors of a wav2vec 2.0 of fairseq's, or of s3prl's copy of it."""
    settings = plain(model.cfg)
    network, state = model_config(settings, "the model"), model.state_dict()
    names = sort_tensors(state).used
    tensors = {ours: state[theirs].float() for theirs, ours in names.items()}
    return network, tensors | identity_projection(network, tensors)


def plain(settings: Any) -> dict:
    """A dataclass, or what reads like a mapping, as a dictionary."""
    if dataclasses.is_dataclass(settings):
        return dataclasses.asdict(settings)
    return {key: settings[key] for key in settings}


class SelectedStates(HFWav2Vec2Net):
    """A sum of hidden states with given weights, each normalised by frame first if need be."""

    shares: tuple[float, ...] = ()
    normalizes: bool = False

    def _combined(self, states: Iterator[torch.Tensor]) -> torch.Tensor:
        total = None
        for share, state in zip(self.shares, states, strict=True):
            if not share:
                continue
            state = F.layer_norm(state, (self.output_size,)) if self.normalizes else state
            total = share * state if total is None else total + share * state
        return total


class S3prlStates(nn.Module):
    """Frontend ``s3prl``: (B, N), (B,) -> (B, T, D), (B,) with T = ceil(N / 320).

    s3prl repeats the last frame to come there, and fills shorter speech up to 0.05 s.
    """

    def __init__(self, frontend: nn.Module) -> None:
        super().__init__()
        upstream = frontend.upstream.upstream
        if hasattr(upstream, "extracter"):
            network = upstream.model.config.to_dict()
            self.net = filled(network, upstream.model.state_dict())
            normalizes, self.eps = upstream.extracter.do_normalize, EPS_OF_HF
        else:
            self.net = filled(*of_fairseq(upstream.model))
            normalizes, self.eps = upstream.wav_normalize, EPS_OF_FAIRSEQ
        self.normalizes_samples = bool(normalizes)
        self.net.shares = shares_of(frontend, frontend.upstream.num_layers)
        self.net.normalizes = bool(frontend.upstream.normalize)

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        frames = strided_length(lengths, FRAME)
        most = strided_length(speech.shape[1], FRAME)
        silence = speech.new_zeros(1, LEAST).expand(speech.shape[0], -1)
        speech, heard = torch.cat([speech, silence], dim=1), lengths.clamp(min=LEAST)
        if self.normalizes_samples:
            mask, count = mask_of(heard, speech), heard[:, None]
            centred = (speech - speech.sum(1, keepdim=True) / count) * mask
            variance = centred.square().sum(1, keepdim=True) / count
            speech = centred * torch.rsqrt(variance + self.eps)
        x, found = self.net(speech, heard)
        places = torch.minimum(torch.arange(most, device=x.device), found[:, None] - 1)
        return x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2])), frames


def shares_of(frontend: nn.Module, num_states: int) -> tuple[float, ...]:
    """Of each hidden state in the features of a frontend ``s3prl``."""
    if frontend.multilayer_feature and frontend.layer == -1:
        return tuple(frontend.featurizer.weights.detach().softmax(0).tolist())
    chosen = range(num_states)[frontend.layer]
    return tuple(float(number == chosen) for number in range(num_states))


def problems(conf: Mapping) -> Iterator[str]:
    """Settings of a frontend ``s3prl`` that have no graph."""
    inner = conf.get("frontend_conf") or {}
    if inner.get("upstream") not in UPSTREAMS:
        yield (
            f"its frontend s3prl has upstream {inner.get('upstream')}. Legal: "
            f"{', '.join(UPSTREAMS)}"
        )
    if inner.get("tile_factor", 1) != 1:
        yield f"its frontend s3prl has tile_factor {inner['tile_factor']}. Legal: 1"
