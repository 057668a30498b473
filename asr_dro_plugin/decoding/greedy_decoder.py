"""The best path as a decoder."""

from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath
from asr_dro_plugin.decoding.greedy import best_paths
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.search_frames import to_numpy
from asr_dro_plugin.emissions import Emission


class GreedyDecoder(AbsDecoder):
    """The likeliest symbol of each frame, collapsed; the score is that path's log probability.

    Args:
        language: where it is not free, the tags are taken out of the frames, and the decided one
            stands in front.
    """

    def __init__(self, language: LanguageChoice) -> None:
        self.language = language

    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        if self.language.is_free:
            return best_paths(emission)
        log_probs, lengths = to_numpy(emission)
        tags = self.language.decide(log_probs, lengths, langs)
        text = Emission(
            self.language.without_tags(log_probs), lengths, emission.frame_shift,
            emission.blank_id, emission.tokens,
        )  # fmt: skip
        return tagged(best_paths(text), tags)


def tagged(found: list[list[TokenPath]], tags: np.ndarray | None) -> list[list[TokenPath]]:
    """The same with each utterance's tag before its ids; None changes nothing."""
    if tags is None:
        return found
    return [
        [TokenPath((int(tag), *p.ids), p.score, p.am_score, p.lm_score) for p in paths]
        for paths, tag in zip(found, tags, strict=True)
    ]
