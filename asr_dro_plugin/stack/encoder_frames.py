"""How each encoder changes the number of frames: the rules of ESPnet's modules and of ours.

A test holds every rule against the real module.
"""

import math
from collections.abc import Mapping

import numpy as np

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.pretrained.catalogue import model_config_of
from asr_dro_plugin.stack.frame_rules import (
    WAV2VEC2_CONVOLUTIONS,
    WHISPER_MAX_FRAMES,
    Frames,
    Step,
    ceilings,
    convolutions,
)
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.stack.sizes import argument, quartznet_blocks

# Over time, by variant (``nets.deepspeech2.VARIANTS``).
DEEPSPEECH2_STRIDES = {"hw2": (2, 2, 1), "sooftware": (2, 1)}

# input_layer of ESPnet's transformer-like encoders: (kernel, stride) of its convolutions over time.
INPUT_LAYERS: dict[str | None, tuple[tuple[int, int], ...]] = {
    None: (),
    "linear": (),
    "embed": (),
    "wav2vec": (),
    "conv1d1": ((3, 1), (3, 1)),
    "conv1d2": ((3, 1), (3, 2)),
    "conv1d3": ((3, 1), (5, 3)),
    "conv2d": ((3, 2), (3, 2)),
    "conv2d1": ((3, 1), (3, 1)),
    "conv2d2": ((3, 2), (3, 1)),
    "conv2d6": ((3, 2), (5, 3)),
    "conv2d8": ((3, 2), (3, 2), (3, 2)),
}
_COMMON = (None, "linear", "embed", "conv2d", "conv2d6", "conv2d8")
_CONFORMER = (*_COMMON, "conv2d1", "conv2d2")
# Which of them each encoder knows.
ENCODER_INPUT_LAYERS = {
    "transformer": (*_CONFORMER, "wav2vec", "conv1d2"),
    "transformer_multispkr": _CONFORMER,
    "conformer": _CONFORMER,
    "multiconv_conformer": _CONFORMER[1:],  # annotated as text: null is refused
    "longformer": _CONFORMER[1:],
    "branchformer": _CONFORMER,
    "e_branchformer": (*_CONFORMER, "conv1d1", "conv1d2", "conv1d3"),
    "contextual_block_transformer": _COMMON,
    "contextual_block_conformer": _COMMON,
}


def encoder_step(config: Mapping) -> Step | None:
    """Frames (or samples) -> frames; None where nothing changes or the rule is not known."""
    name = component_of(config, "encoder")
    label = f"encoder {name}"
    match name:
        case _ if name in ENCODER_INPUT_LAYERS:
            return convolutions(label, INPUT_LAYERS[_input_layer(config, name)])
        case "conv_ctc":
            return ceilings(label, argument(config, "encoder", "strides"))
        case "quartznet":
            blocks = quartznet_blocks(config) or [{"stride": 2}]
            return ceilings(label, [block.get("stride", 1) for block in blocks])
        case "deepspeech2":
            strides = DEEPSPEECH2_STRIDES.get(argument(config, "encoder", "variant"), ())
            return ceilings(label, strides)  # kernel 11, padding 5
        case "vgg_rnn":
            return ceilings(label, (2, 2))
        case "rnn":
            return _rnn(config, label)
        case "wav2vec2" | "hubert":
            return convolutions(label, WAV2VEC2_CONVOLUTIONS)
        case "hf_wav2vec2" | "fairseq_wav2vec2":
            return _hf_wav2vec2(config, label)
        case "whisper":
            return _whisper(config, label)
        case "hf_whisper":
            return _hf_whisper(config, label)
    return None


def _input_layer(config: Mapping, encoder: str) -> str | None:
    layer, legal = argument(config, "encoder", "input_layer"), ENCODER_INPUT_LAYERS[encoder]
    if layer not in legal:
        names = [str(name or "null") for name in legal]
        raise UserError(
            f"encoder_conf.input_layer is '{layer}', which {encoder} does not have."
            f"{suggestion(str(layer), names)} Legal: {', '.join(names)}."
        )
    return layer


def _rnn(config: Mapping, label: str) -> Step:
    """``espnet2.legacy...encoders.RNNP``: (L + 1) // s after each layer; RNN never subsamples."""
    subsample = argument(config, "encoder", "subsample") or ()
    layers = argument(config, "encoder", "num_layers")
    projected = argument(config, "encoder", "use_projection")
    strides = [s for s in subsample[:layers] if s > 1] if projected else []

    def rule(frames: Frames) -> Frames:
        for stride in strides:
            frames = (frames + 1) // stride
        return frames

    return Step(label, math.prod(strides), rule)


def _hf_wav2vec2(config: Mapping, label: str) -> Step:
    """The convolutions of ``config.json``; behind them perhaps adapters, padded by 1."""
    conf = model_config_of(config) or {}
    layers = WAV2VEC2_CONVOLUTIONS
    if "conv_kernel" in conf and "conv_stride" in conf:
        layers = tuple(zip(conf["conv_kernel"], conf["conv_stride"], strict=True))
    before = convolutions(label, layers)
    if not conf.get("add_adapter"):
        return before
    num, stride = conf.get("num_adapter_layers", 3), conf.get("adapter_stride", 2)
    kernel = conf.get("adapter_kernel_size", 3)

    def rule(samples: Frames) -> Frames:
        frames = before.rule(samples)
        for _ in range(num):
            frames = np.where(frames > 0, (frames + 2 - kernel) // stride + 1, 0)
        return frames

    return Step(label, before.stride * stride**num, rule)


def _whisper(config: Mapping, label: str) -> Step:
    """Mel frames of 10 ms, then a convolution (kernel 3, stride 2, padding 1); 30 s at most."""

    def rule(samples: Frames) -> Frames:
        return np.minimum((samples // 160 - 1) // 2 + 1, WHISPER_MAX_FRAMES)

    return Step(label, 320, rule)


def _hf_whisper(config: Mapping, label: str) -> Step:
    """As ``_whisper``, or always 30 s: what is shorter is filled up with silence."""
    most = (model_config_of(config) or {}).get("max_source_positions", WHISPER_MAX_FRAMES)
    if argument(config, "encoder", "do_pad_trim"):
        return Step(label, 320, lambda samples: np.where(samples > 0, most, 0))

    def rule(samples: Frames) -> Frames:
        frames = (np.maximum(samples // 160, 1) - 1) // 2 + 1
        return np.where(samples > 0, np.minimum(frames, most), 0)

    return Step(label, 320, rule)
