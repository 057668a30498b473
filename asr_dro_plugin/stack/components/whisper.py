"""Whisper: frontend, encoder and decoder ``hf_whisper`` (``nets.whisper``), its tokens'
preprocessor, and what ESPnet calls ``whisper``."""

from dataclasses import replace

from asr_dro_plugin.pretrained.whisper_sizes import published_width
from asr_dro_plugin.stack.components.component import Chosen, Component, Takes
from asr_dro_plugin.stack.components.rules import ATTENTION, Step, View
from asr_dro_plugin.stack.components.wav2vec2 import size_of_model

FRAME = 0.02  # seconds
MAX_FRAMES = 1500  # 30 s
POSITIONS = 448
PROMPT = 3  # of them: the start, the task, no timestamps
VIEW = View(((400, 160), (3, 1), (3, 2)), "loudest frame of the utterance", ATTENTION)


def _espnets_frames(chosen: Chosen) -> Step:
    """Mel frames of 10 ms, then a convolution (kernel 3, stride 2, padding 1); 30 s at most."""
    rule = lambda samples: ((samples // 160 - 1) // 2 + 1).clip(max=MAX_FRAMES)  # noqa: E731
    return Step(chosen.label, 320, rule)


def _frames(chosen: Chosen) -> Step:
    """The same, or always 30 s: what is shorter is filled up with silence."""
    if chosen["do_pad_trim"]:
        most = _max_frames(chosen)
        return Step(chosen.label, 320, lambda samples: (samples > 0) * most)
    return _own_frames(chosen)


def _own_frames(chosen: Chosen) -> Step:
    """Those of the utterance's own length; ``pool`` of them may be one."""
    pool = chosen["pool"] or 1

    def rule(samples):
        frames = (samples > 0) * (((samples // 160).clip(1) - 1) // 2 + 1)
        return -(-frames // pool)

    return Step(chosen.label, 320 * pool, rule)


def _max_frames(chosen: Chosen) -> int:
    return chosen.model_config.get("max_source_positions", MAX_FRAMES)


def _max_seconds(chosen: Chosen) -> float:
    return FRAME * _max_frames(chosen)


def _max_labels(chosen: Chosen) -> int:
    prompt = (chosen.config.get("model_conf") or {}).get("text_prompt")
    around = PROMPT if prompt is None else 1 + len(prompt)
    return chosen.model_config.get("max_target_positions", POSITIONS) - around


def _num_states(chosen: Chosen) -> int | None:
    """Those of ``layers``, else what enters the first block and the output of each."""
    if chosen["layers"] is not None:
        return len(chosen["layers"])
    layers = chosen.model_config.get("encoder_layers")
    return None if layers is None else layers + 1


HF_WHISPER = Component(
    path="asr_dro_plugin.espnet.parts.hf_whisper:HFWhisperEncoder",
    plain="asr_dro_plugin.nets.whisper:WhisperEncoder",
    attribute="net", network="net",
    size=size_of_model, frames=_frames, view=lambda chosen: VIEW,
    raw_audio=True, has_cnn=True, max_seconds=_max_seconds,
    checkpoints=Takes(("hf",), ("whisper",)), own_weights=True, takes_adapters=True,
)  # fmt: skip
HF_WHISPER_FRONTEND = replace(
    HF_WHISPER,
    path="asr_dro_plugin.espnet.parts.hf_whisper:HFWhisperFrontend",
    plain="asr_dro_plugin.nets.hidden_layers:WhisperHiddenLayers",
    network="net.model", frames=_own_frames, raw_audio=False, num_states=_num_states,
)  # fmt: skip
HF_WHISPER_DECODER = Component(
    path="asr_dro_plugin.espnet.parts.hf_whisper:HFWhisperDecoder",
    plain="asr_dro_plugin.nets.whisper:WhisperDecoder",
    attribute="net", network="net", max_labels=_max_labels,
    checkpoints=HF_WHISPER.checkpoints, own_weights=True, takes_adapters=True,
)  # fmt: skip
WHISPER_PREPROCESSOR = Component(
    path="asr_dro_plugin.espnet.parts.whisper_preprocessor:WhisperPreprocessor",
    keywords_of="default",
)

ESPNETS_WHISPER = Component(
    size=lambda chosen: published_width(chosen["whisper_model"]),
    frames=_espnets_frames, view=lambda chosen: VIEW,
    raw_audio=True, loads_weights=True, max_seconds=_max_seconds, package="whisper",
)  # fmt: skip
ESPNETS_WHISPER_FRONTEND = replace(ESPNETS_WHISPER, frames=None, raw_audio=False, max_seconds=None)
ESPNETS_WHISPER_DECODER = Component(loads_weights=True, max_labels=_max_labels, package="whisper")
