"""What of a recogniser a live transcription needs: its frames, and how they are read."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, arrays_of
from asr_dro_plugin.decoding.greedy import GreedyDecoder
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.runtime.live.frames import Stack
from asr_dro_plugin.runtime.live.words import TokenReader
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser


@dataclass(frozen=True)
class OneUtterance:
    """A recogniser as a function of one utterance, (N,) float32 -> (T, V); NaN is refused."""

    recogniser: AbsRecogniser

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        emission = self.recogniser.emission([samples])
        log_probs, lengths = arrays_of(emission)
        return log_probs[0, : int(lengths[0])]


@dataclass(frozen=True)
class LiveModel:
    """A model in certain languages.

    Args:
        stack: from sound to frames.
        reader: from frames to words.
    """

    stack: Stack
    reader: TokenReader

    @classmethod
    def of(
        cls,
        recogniser: AbsRecogniser,
        receptive_field: int | None,
        decoder: AbsDecoder,
        given: str | None = None,
    ) -> Self:
        """That of a recogniser.

        Args:
            recogniser: what gives the log probabilities.
            receptive_field: the manifest's ``receptive_field_samples``.
            decoder: what reads finals, in the languages that may be found.
            given: the language that is told to it, for a model without tags.

        Raises:
            UserError: frames that no rule counts.
        """
        if not recogniser.exact_frames:
            raise UserError(
                "This model cannot transcribe live: no rule counts the frames of its stack. "
                "Send whole recordings instead."
            )
        shift, tokens = recogniser.frame_shift, recogniser.tokens
        model, samples = OneUtterance(recogniser), round(shift * SAMPLE_RATE)
        stack = Stack(model, samples, recogniser.min_samples, len(tokens), receptive_field)
        is_plain = isinstance(decoder, GreedyDecoder) and not decoder.weights.penalise
        last, kind, blank = (
            None if is_plain else decoder,
            recogniser.token_type,
            recogniser.blank_id,
        )
        reader = TokenReader(tokens, kind, blank, shift, decoder.language, last, given)
        return cls(stack, reader)
