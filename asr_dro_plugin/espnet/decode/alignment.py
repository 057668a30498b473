"""A trained experiment that places given texts in speech of any length."""

from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.decoding.chunks import emission_in_chunks
from asr_dro_plugin.decoding.command_line import Model
from asr_dro_plugin.decoding.units import Aligned, TextAligner
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.decode.inference import load_recogniser
from asr_dro_plugin.text.tokens import SPACE, WORD_START, tags_in
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser

CHUNK = 30.0  # seconds; longer audio goes to the model in chunks of so much


class Aligner:
    """A model and the way to its tokens.

    Args:
        recogniser: the model.
        texts: what places texts in its emissions.
    """

    def __init__(self, recogniser: AbsRecogniser, texts: TextAligner) -> None:
        self.recogniser, self.texts = recogniser, texts

    def __call__(self, utterance: SpeechItem, text: str, lang: str = "") -> Aligned:
        """Words and characters of a text, in seconds of the original audio; see ``TextAligner``.

        Raises:
            UserError: no speech, too little of it, or a text that is empty or does not fit.
        """
        if utterance.fault:
            raise UserError(utterance.fault)
        end = utterance.offset + utterance.duration
        found = self.texts(self.emission(utterance.samples), text, lang, utterance.offset, end)
        if not found.chars:
            raise UserError("The text is empty, or nothing of it is left after --text_norm.")
        return found

    def emission(self, samples: np.ndarray) -> Emission:
        """The emission of (N,) samples at ``SAMPLE_RATE``, in chunks where they are long."""
        recogniser = self.recogniser
        if len(samples) < recogniser.min_samples:
            seconds = len(samples) / SAMPLE_RATE
            raise UserError(
                f"The audio is too short for the model ({seconds:.3f} s). Leave it out."
            )
        if len(samples) <= CHUNK * SAMPLE_RATE or not recogniser.exact_frames:
            return recogniser.emission([samples])
        return emission_in_chunks(recogniser.emission, samples, recogniser.frame_shift, CHUNK)

    @property
    def silent_ids(self) -> Sequence[int]:
        """Columns that are no sound: the blank, spaces, language tags."""
        tokens = self.recogniser.tokens
        silent = {SPACE, WORD_START, *tags_in(tokens)}
        ids = [index for index, token in enumerate(tokens) if token in silent]
        return [self.recogniser.blank_id, *ids]


def load_aligner(model: Model, texts: TextAligner) -> Aligner:
    """Load a trained experiment; as ``load_recogniser``."""
    return Aligner(load_recogniser(model.exp, model.file, model.device), texts)
