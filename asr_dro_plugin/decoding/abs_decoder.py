"""The contract of a decoder: an ``Emission`` in, n-best token sequences out."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError


@dataclass(frozen=True)
class TokenPath:
    """One hypothesis as token ids.

    Args:
        ids: token ids in order, without blanks; where the model has language tags one is the first.
        score, am_score, lm_score: as ``transcripts.transcript.Hypothesis`` has them.
        ended_early: why the text was ended before the decoder ended it (``runaway``), else empty.
    """

    ids: tuple[int, ...]
    score: float
    am_score: float | None = None
    lm_score: float | None = None
    ended_early: str = ""


class AbsDecoder(ABC):
    """Decodes batches; what it needs besides the emission it is built with.

    ``language`` says which languages may be found.
    """

    language: LanguageChoice

    @abstractmethod
    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        """The n best of each of the B utterances, best first, at least one each.

        Args:
            emission: log probabilities (B, T, V) with lengths, blank and tokens.
            langs: the language of each utterance (ISO 639-3) where it is given from outside.
        """

    def of_one_language(self, code: str) -> "AbsDecoder":
        """The same decoder, which finds this language alone."""
        other = copy.copy(self)
        object.__setattr__(other, "language", replace(self.language, rule=code))
        return other


def to_numpy(array) -> np.ndarray:
    """A numpy array of a numpy array or of a torch tensor on any device."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def arrays_of(emission: Emission) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities (B, T, V) and lengths (B,) as numpy arrays.

    Raises:
        UserError: as ``refuse_nan``.
    """
    log_probs, lengths = to_numpy(emission.log_probs), to_numpy(emission.lengths)
    refuse_nan(np.isnan(log_probs).any(-1), frames_inside(log_probs, lengths))
    return log_probs, lengths


def frames_inside(log_probs, lengths: np.ndarray) -> np.ndarray:
    """(B, T) bool: which frames of (B, T, …) belong to an utterance."""
    return np.arange(log_probs.shape[1]) < lengths[:, None]


def refuse_nan(is_nan: np.ndarray, inside: np.ndarray) -> None:
    """Refuse an utterance whose own frames (B, T) hold NaN (a diverged model, or broken audio)."""
    broken = (is_nan & inside).any(1)
    if broken.any():
        raise UserError(
            f"The model gives NaN for item {int(broken.argmax())} of the batch. "
            "Its parameters or the audio are broken; look at the training log."
        )
