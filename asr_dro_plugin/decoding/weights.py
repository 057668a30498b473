"""Weights of a search, of which a language may have its own: alpha, beta, and the blank's penalty.

The penalty is taken from the blank's log probability in every frame that text is read from, after
the language is decided (as icefall's and sherpa-onnx's ``blank_penalty``).  No frame is normalised
again: that would add the same number to every hypothesis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Weights:
    """alpha, beta, the bonus of an unknown word and the blank's penalty, in natural logarithms."""

    lm_weight: float = 0.0
    word_score: float = 0.0
    unk_score: float = 0.0
    blank_penalty: float = 0.0

    def gain(self, log_prob, units=1, unknown=0):
        """The bonus of ``units`` units of which ``unknown`` are; numbers or arrays."""
        score = self.lm_weight * log_prob if self.lm_weight else 0.0
        return score + self.word_score * units + self.unk_score * unknown

    @property
    def most(self) -> float:
        """The factor that one unit can gain a prefix at most (probabilities are at most 1)."""
        return float(np.exp(max(0.0, self.word_score, self.word_score + self.unk_score)))


@dataclass(frozen=True)
class LanguageWeights:
    """The weights of each language: its own, else the joint ones.

    Args:
        joint: of languages that have none of their own, or where the language is not known.
        own: ISO code -> weights.
    """

    joint: Weights = Weights()
    own: Mapping[str, Weights] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping) -> "LanguageWeights":
        """Those of a decoding configuration that ``read_decode_config`` gave."""
        names = Weights.__dataclass_fields__
        joint = {name: config[name] for name in names if config.get(name) is not None}
        own = config.get("by_language") or {}
        return cls(Weights(**joint), {lang: Weights(**{**joint, **own[lang]}) for lang in own})

    def __getitem__(self, lang: str | None) -> Weights:
        return self.own.get(lang, self.joint)

    @property
    def penalise(self) -> bool:
        """Whether the blank of any language is changed."""
        return any(each.blank_penalty for each in (self.joint, *self.own.values()))

    def penalties(self, langs: Sequence[str | None]) -> np.ndarray:
        """What each utterance's blank loses (B,), float32."""
        return np.array([self[lang].blank_penalty for lang in langs], np.float32)
