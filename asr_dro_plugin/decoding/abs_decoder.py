"""The contract of a decoder: an ``Emission`` in, n-best token sequences out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.emissions import Emission


@dataclass(frozen=True)
class TokenPath:
    """One hypothesis as token ids.

    Args:
        ids: token ids in order, without blanks; where the model has language tags one is the first.
        score: natural logarithm, all that the decoder added up; larger is better.
        am_score: the acoustic part, None where the decoder does not tell.
        lm_score: the language model's log probability, unweighted; None without one.
    """

    ids: tuple[int, ...]
    score: float
    am_score: float | None = None
    lm_score: float | None = None


class AbsDecoder(ABC):
    """Decodes batches; what it needs besides the emission it is built with.

    Attributes:
        language: which languages may be found.
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
