"""A loaded model as one network that can be traced: speech in, log probabilities out.

Training and decoding look at numbers (the longest of a batch, whether all are as long), which
tracing would freeze.  So each component has a *form* here, a module that computes the same from
tensors alone; ``FORMS`` is the table of all that have one.  Every form gives an utterance in a
batch what the component gives it alone.

Shapes: B utterances, N samples, T frames, D features, V tokens.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.onnx.attention import AttentionEncoder
from asr_dro_plugin.export.onnx.attention import problems as attention_problems
from asr_dro_plugin.export.onnx.features import (
    Batch,
    EspnetLogMelGraph,
    LogMelGraph,
    mask_of,
)
from asr_dro_plugin.export.onnx.pretrained import (
    WhisperEncoderGraph,
    WhisperStatesGraph,
    wav2vec2,
)
from asr_dro_plugin.export.onnx.recurrent import DeepSpeech2Graph
from asr_dro_plugin.export.onnx.speech_models import FairseqEncoder, S3prlStates
from asr_dro_plugin.export.onnx.speech_models import problems as s3prl_problems
from asr_dro_plugin.stack.names import SLOTS, component_of

CERTAIN, IMPOSSIBLE = 0.0, -1e4  # log probabilities behind an utterance's end
HOW_ELSE = "give it away with asr-dro pack"


class UtteranceNorm(nn.Module):
    """ESPnet's ``utterance_mvn`` over the frames (B, T, D) or samples (B, N) of each utterance."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.means, self.variances, self.eps = norm.norm_means, norm.norm_vars, norm.eps

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Batch:
        mask, count = mask_of(lengths, x), lengths[:, None]
        if x.dim() == 3:
            mask, count = mask[:, :, None], count[:, :, None]
        x = x * mask
        centred = (x - x.sum(dim=1, keepdim=True) / count) * mask
        out = centred if self.means else x
        if self.variances:
            variance = centred.square().sum(dim=1, keepdim=True) / count
            out = out / variance.sqrt().clamp(min=self.eps)
        return out, lengths


class GlobalNorm(nn.Module):
    """ESPnet's ``global_mvn``."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mean", norm.mean.float() if norm.norm_means else torch.zeros(()))
        self.register_buffer("std", norm.std.float() if norm.norm_vars else torch.ones(()))

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Batch:
        return (x - self.mean) / self.std * mask_of(lengths, x)[:, :, None], lengths


class Identity(nn.Module):
    """What passes (B, T, D), (B,) on."""

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Batch:
        return x, lengths


class Projection(nn.Module):
    """ESPnet's preencoder ``linear``."""

    def __init__(self, preencoder: nn.Module) -> None:
        super().__init__()
        self.linear = preencoder.linear_out

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Batch:
        return self.linear(x), lengths


def log_mel(frontend: nn.Module) -> nn.Module:
    """Of our frontend ``log_mel``."""
    return LogMelGraph(frontend.features.settings)


def espnet_log_mel(frontend: nn.Module) -> nn.Module:
    """Of ESPnet's frontend ``default``."""
    if not EspnetLogMelGraph.fits(frontend):
        raise UserError(
            "frontend default with speech enhancement or another transform cannot be exported: "
            f"{HOW_ELSE}."
        )
    return EspnetLogMelGraph(frontend)


def own_net(encoder: nn.Module) -> nn.Module:
    """Of an encoder of ours whose network itself is made of tensors alone."""
    return encoder.net


# Slot -> name of a component -> what makes its form.
FORMS: Mapping[str, Mapping[str, Callable[[nn.Module], nn.Module]]] = {
    "frontend": {
        "default": espnet_log_mel,
        "log_mel": log_mel,
        "hf_whisper": WhisperStatesGraph,
        "s3prl": S3prlStates,
    },
    "normalize": {"utterance_mvn": UtteranceNorm, "global_mvn": GlobalNorm},
    "preencoder": {"linear": Projection},
    "encoder": {
        "identity": lambda encoder: Identity(),
        "conv_ctc": own_net,
        "quartznet": own_net,
        "deepspeech2": lambda encoder: DeepSpeech2Graph(encoder.net),
        "transformer": AttentionEncoder,
        "conformer": AttentionEncoder,
        "hf_wav2vec2": lambda encoder: wav2vec2(encoder.net),
        "fairseq_wav2vec2": lambda encoder: wav2vec2(encoder.net),
        "hf_whisper": WhisperEncoderGraph,
        "wav2vec2": FairseqEncoder,
    },
}


def obstacles(config: Mapping) -> Iterator[str]:
    """Why a stack has no form, each with what can be done instead."""
    ways = {slot: set(names) for slot, names in FORMS.items()}
    for slot in SLOTS:
        name = component_of(config, slot)
        if name is None or slot in ("specaug", "decoder") or name in ways.get(slot, ()):
            continue
        legal = f" Legal: {', '.join(sorted(ways[slot]))}." if slot in ways else ""
        yield f"its {slot} is {name}.{legal} Else {HOW_ELSE}."
    if component_of(config, "encoder") in ("transformer", "conformer"):
        for problem in attention_problems(config.get("encoder_conf") or {}):
            yield f"{problem}: {HOW_ELSE}."
    if component_of(config, "frontend") == "s3prl":
        for problem in s3prl_problems(config.get("frontend_conf") or {}):
            yield f"{problem}. Else {HOW_ELSE}."


class SpeechToLogProbs(nn.Module):
    """(B, N) float32 and (B,) int64 -> log probabilities (B, T, V), frames (B,), and the former
    once more.

    A length below 0 stands for all N samples.  Behind an utterance's end the blank is certain, so
    that who counts frames otherwise reads no more than is there.

    Args:
        model: ESPnet's, in evaluation mode.
        config: its configuration, of which ``obstacles`` tells none.
    """

    def __init__(self, model: nn.Module, config: Mapping) -> None:
        super().__init__()
        parts = {slot: component_of(config, slot) for slot in FORMS}
        self.parts = nn.ModuleList(
            FORMS[slot][name](getattr(model, slot)) for slot, name in parts.items() if name
        )
        self.head = model.ctc.ctc_lo
        behind = torch.full((self.head.out_features,), IMPOSSIBLE)
        behind[model.blank_id] = CERTAIN
        self.register_buffer("behind", behind)

    def forward(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        whole = torch.zeros_like(speech[:, 0], dtype=torch.int64) + speech.shape[1]
        lengths = torch.minimum(torch.where(lengths < 0, whole, lengths), whole)
        x = speech * mask_of(lengths, speech)
        for part in self.parts:
            x, lengths = part(x, lengths)
        log_probs = self.head(x).log_softmax(dim=2)
        log_probs = torch.where(mask_of(lengths, x)[:, :, None], log_probs, self.behind)
        return log_probs, lengths, log_probs * 1.0
