"""Encoders ``hf_wav2vec2`` and ``fairseq_wav2vec2``: ``nets.hf_wav2vec2`` with two readers."""

from dataclasses import replace

from asr_dro_plugin.pretrained.fairseq_config import KINDS
from asr_dro_plugin.pretrained.layouts import WAV2VEC2_TYPES, width_of
from asr_dro_plugin.pretrained.regularisation import MASK_LENGTHS, WAV2VEC2_SHARES
from asr_dro_plugin.stack.components import rules
from asr_dro_plugin.stack.components.component import Chosen, Component, Takes
from asr_dro_plugin.stack.components.rules import ATTENTION, STATISTICS, Layers, Step, View

# (kernel, stride) of the feature encoder of wav2vec 2.0 (Baevski et al. 2020), HuBERT and WavLM.
CONVOLUTIONS = ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2)


def size_of_model(chosen: Chosen) -> int | None:
    """Width of the model that ``model_config`` describes, or of the checkpoint."""
    if chosen["model_config"]:
        return width_of(chosen["model_config"])
    return chosen.checkpoint.output_size if chosen.checkpoint else None


def _convolutions(chosen: Chosen) -> Layers:
    conf = chosen.model_config
    if "conv_kernel" in conf and "conv_stride" in conf:
        return tuple(zip(conf["conv_kernel"], conf["conv_stride"], strict=True))
    return CONVOLUTIONS


def _frames(chosen: Chosen) -> Step:
    """The convolutions of ``config.json``; behind them perhaps adapters, padded by 1."""
    conf, before = chosen.model_config, rules.convolutions(chosen.label, _convolutions(chosen))
    if not conf.get("add_adapter"):
        return before
    num, stride = conf.get("num_adapter_layers", 3), conf.get("adapter_stride", 2)
    kernel = conf.get("adapter_kernel_size", 3)

    def rule(samples: rules.Frames) -> rules.Frames:
        frames = before.rule(samples)
        for _ in range(num):
            frames = (frames > 0) * ((frames + 2 - kernel) // stride + 1)
        return frames

    return Step(chosen.label, before.stride * stride**num, rule)


def _view(chosen: Chosen) -> View:
    statistics = [STATISTICS] if chosen["do_normalize"] else []
    if chosen.model_config.get("feat_extract_norm") == "group":
        statistics.append(rules.GROUP_NORM)
    return View(_convolutions(chosen), " and ".join(statistics), ATTENTION)


HF_WAV2VEC2 = Component(
    path="asr_dro_plugin.espnet.parts.hf_wav2vec2:HFWav2Vec2Encoder",
    plain="asr_dro_plugin.nets.hf_wav2vec2:HFWav2Vec2Net",
    attribute="net", network="net.model",
    size=size_of_model, frames=_frames, view=_view,
    raw_audio=True, has_cnn=True, normalizes_speech=True,
    checkpoints=Takes(("hf",), WAV2VEC2_TYPES), own_weights=True, takes_adapters=True,
    shares=WAV2VEC2_SHARES, lengths=MASK_LENGTHS,
    exports_to=("hf",),
)  # fmt: skip
FAIRSEQ_WAV2VEC2 = replace(
    HF_WAV2VEC2,
    path="asr_dro_plugin.espnet.parts.hf_wav2vec2:FairseqWav2Vec2Encoder",
    checkpoints=Takes(("fairseq", "s3prl"), KINDS),
)
