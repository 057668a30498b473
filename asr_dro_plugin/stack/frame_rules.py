"""How frontends and postencoders change the number of frames; encoders are in ``encoder_frames``.

The rules are those of ESPnet's, s3prl's and our own modules; a test holds each against the module.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.stack.sizes import argument, frontend_of

Frames = np.ndarray  # (N,) of int64, one an utterance
Rule = Callable[[Frames], Frames]

# (kernel, stride) of the feature encoder of wav2vec 2.0 (Baevski et al. 2020), HuBERT and WavLM.
WAV2VEC2_CONVOLUTIONS = ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2)

# s3prl's models on wav2vec 2.0's convolutions: 320 samples a frame.
S3PRL_320 = (
    "wav2vec2", "hf_wav2vec2", "xls", "hubert", "hf_hubert", "wavlm", "data2vec", "unispeech_sat",
)  # fmt: skip
WHISPER_MAX_FRAMES = 1500  # 30 s


@dataclass(frozen=True)
class Step:
    """One slot's effect on the frame count: its name, input frames a frame, and the rule."""

    name: str
    stride: int
    rule: Rule


def convolutions(name: str, layers: Sequence[tuple[int, int]]) -> Step:
    """A stack of unpadded convolutions: each gives floor((L - kernel) / stride) + 1."""

    def rule(frames: Frames) -> Frames:
        for kernel, stride in layers:
            frames = np.maximum((frames - kernel) // stride + 1, 0)
        return frames

    return Step(name, math.prod(stride for _, stride in layers), rule)


def ceilings(name: str, strides: Sequence[int]) -> Step:
    """Padded strided layers: each gives ceil(L / stride)."""

    def rule(frames: Frames) -> Frames:
        for stride in strides:
            frames = -(-frames // stride)
        return frames

    return Step(name, math.prod(strides), rule)


def frontend_step(config: Mapping) -> Step | None:
    """Samples -> frames; None for no frontend or an unknown rule."""
    name = frontend_of(config)
    label = f"frontend {name}"
    match name:
        case "default":
            return _stft(config, label)
        case "sliding_window":
            window, hop = (argument(config, "frontend", f"{w}_length") for w in ("win", "hop"))
            return convolutions(label, [(window, hop)])
        case "wav2vec_cnn":
            shapes = argument(config, "frontend", "shapes")
            return convolutions(label, [(kernel, stride) for _, kernel, stride in shapes])
        case "s3prl":
            return _s3prl(config, label)
        case "log_mel":
            settings = LogMelSettings.from_dict(config.get("frontend_conf") or {})
            return Step(label, settings.hop_length, settings.num_frames)
    return None


def _stft(config: Mapping, label: str) -> Step | None:
    """``espnet2.layers.stft.Stft``: centred windows need more samples than half a window."""
    if not argument(config, "frontend", "apply_stft"):
        return None
    n_fft, hop = argument(config, "frontend", "n_fft"), argument(config, "frontend", "hop_length")
    if not argument(config, "frontend", "center"):
        return convolutions(label, [(n_fft, hop)])
    half = n_fft // 2

    def rule(samples: Frames) -> Frames:
        return np.where(samples > half, (samples + 2 * half - n_fft) // hop + 1, 0)

    return Step(label, hop, rule)


def _s3prl(config: Mapping, label: str) -> Step | None:
    """``s3prl.nn.S3PRLUpstream`` rounds up to ceil(L / 320), repeating the last frame.

    It refuses to double what the convolutions give: 2 frames where 961 to 1039 samples need 4.
    """

    def rule(samples: Frames) -> Frames:
        return np.where((samples > 960) & (samples < 1040), 0, -(-samples // 320))

    conf = argument(config, "frontend", "frontend_conf") or {}
    upstream = str(conf.get("upstream") or "")
    if config.get("ssl_checkpoint") or upstream.startswith(S3PRL_320):
        return Step(label, 320, rule)
    return None


def postencoder_step(config: Mapping) -> Step | None:
    """ESPnet's length adaptor: floor(T / 2 ** layers)."""
    name = component_of(config, "postencoder")
    if name is None:
        return None
    factor = 2 ** argument(config, "postencoder", "length_adaptor_n_layers")
    return Step(f"postencoder {name}", factor, lambda frames: frames // factor)
