"""What one utterance may hold for a stack: frames for its labels, seconds, tokens.

CTC needs a frame for each label; Whisper has positions for 30 s of speech and 448 tokens.  What
does not fit is left out in stage 10, where it costs a second, and told by the preflight.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.combinations import loss_of

TOO_FEW_FRAMES = "too few frames for CTC"
NO_FRAME = "too short for the model"
TOO_LONG = "longer than the encoder takes"
TOO_MANY_LABELS = "more tokens than the decoder takes"


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

    def faults(
        self, num_samples: int, num_frames: int, labels: int, repeats: int
    ) -> Iterator[tuple[str, str]]:
        """Reasons, each with a detail, for which an utterance cannot be trained on."""
        seconds = num_samples / SAMPLE_RATE
        needed = max(labels + repeats if self.needs_alignment else 1, 1)
        if num_frames < needed:
            reason = TOO_FEW_FRAMES if self.needs_alignment else NO_FRAME
            yield reason, f"{num_frames} frames, {labels} labels, {repeats} repeats"
        if self.max_seconds is not None and seconds > self.max_seconds:
            yield TOO_LONG, f"{seconds:g} s, at most {self.max_seconds:g}"
        if self.max_labels is not None and labels > self.max_labels:
            yield TOO_MANY_LABELS, f"{labels} tokens, at most {self.max_labels}"


def limits_of(config: Mapping) -> Limits:
    """The limits of a configuration's stack.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    loss = loss_of(config)
    parts = [part for slot in ("frontend", "encoder") if (part := chosen(config, slot))]
    limited = [part.facts.max_seconds(part) for part in parts if part.facts.max_seconds]
    seconds, labels, decoder = min(limited, default=None), None, chosen(config, "decoder")
    if decoder and decoder.facts.max_labels and loss != "ctc":
        labels = decoder.facts.max_labels(decoder)
    whose = "Whisper" if seconds or labels else ""
    return Limits(loss in ("ctc", "hybrid"), seconds, labels, whose)
