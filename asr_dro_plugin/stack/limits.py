"""What one utterance may hold for a stack: frames for its labels, seconds, tokens.

CTC needs a frame for each label; Whisper has positions for 30 s of speech and 448 tokens.  What
does not fit is left out in stage 10, where it costs a second, and told by the preflight.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.pretrained.catalogue import model_config_of
from asr_dro_plugin.stack.combinations import loss_of
from asr_dro_plugin.stack.frame_rules import WHISPER_MAX_FRAMES
from asr_dro_plugin.stack.names import component_of

TOO_FEW_FRAMES = "too few frames for CTC"
NO_FRAME = "too short for the model"
TOO_LONG = "longer than the encoder takes"
TOO_MANY_LABELS = "more tokens than the decoder takes"
FRAME = 0.02  # seconds
WHISPER_POSITIONS = 448
WHISPER_PROMPT = 3  # of them: the start, the task, no timestamps


@dataclass(frozen=True)
class Limits:
    """What one utterance may hold.

    Attributes:
        needs_alignment: whether the loss is CTC's, which needs a frame for each label.
        max_seconds: of audio; None: any.
        max_labels: tokens of a text; None: any.
        whose: the component that says so.
    """

    needs_alignment: bool = True
    max_seconds: float | None = None
    max_labels: int | None = None
    whose: str = ""

    def fault(
        self, num_samples: int, num_frames: int, labels: int, repeats: int
    ) -> tuple[str, str] | None:
        """Reason and detail for which an utterance cannot be trained on."""
        seconds = num_samples / SAMPLE_RATE
        needed = max(labels + repeats if self.needs_alignment else 1, 1)
        if num_frames < needed:
            reason = TOO_FEW_FRAMES if self.needs_alignment else NO_FRAME
            return reason, f"{num_frames} frames, {labels} labels, {repeats} repeats"
        if self.max_seconds is not None and seconds > self.max_seconds:
            return TOO_LONG, f"{seconds:g} s, at most {self.max_seconds:g}"
        if self.max_labels is not None and labels > self.max_labels:
            return TOO_MANY_LABELS, f"{labels} tokens, at most {self.max_labels}"
        return None


def limits_of(config: Mapping) -> Limits:
    """The limits of a configuration's stack.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    encoder, decoder = component_of(config, "encoder"), component_of(config, "decoder")
    conf = (model_config_of(config) if encoder == "hf_whisper" else None) or {}
    seconds = labels = None
    if encoder in ("whisper", "hf_whisper"):
        seconds = FRAME * conf.get("max_source_positions", WHISPER_MAX_FRAMES)
    if decoder in ("whisper", "hf_whisper") and loss_of(config) != "ctc":
        prompt = (config.get("model_conf") or {}).get("text_prompt")
        around = WHISPER_PROMPT if prompt is None else 1 + len(prompt)
        labels = conf.get("max_target_positions", WHISPER_POSITIONS) - around
    whose = "Whisper" if seconds or labels else ""
    return Limits(loss_of(config) in ("ctc", "hybrid"), seconds, labels, whose)
