"""Prefix beam search as a decoder, without a language model."""

from collections.abc import Sequence

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath
from asr_dro_plugin.decoding.greedy_decoder import tagged
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.prefix_beam import Prefix, Scorer, search
from asr_dro_plugin.decoding.search_frames import search_frames, to_numpy
from asr_dro_plugin.emissions import Emission


class BeamDecoder(AbsDecoder):
    """The prefixes with most probability over all their alignments.

    Args:
        language: which tags may be found; where it is free a tag is a token like any other.
        beam_size: prefixes kept in a frame.
        beam_size_token: likeliest tokens of a frame that may follow; None for all.
        beam_threshold: natural logs behind the best at which a prefix is dropped.
        blank_threshold: frames with a likelier blank only part what is around them; 1: exact.
        nbest: hypotheses an utterance.
    """

    def __init__(
        self,
        language: LanguageChoice,
        beam_size: int = 20,
        beam_size_token: int | None = 20,
        beam_threshold: float = 25.0,
        blank_threshold: float = 0.999,
        nbest: int = 1,
    ) -> None:
        self.language, self.nbest = language, nbest
        self.beam_size, self.beam_threshold = beam_size, beam_threshold
        self.beam_size_token, self.blank_threshold = beam_size_token, blank_threshold

    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        log_probs, lengths = to_numpy(emission)
        if self.language.is_free:
            return self.searched(log_probs, lengths, emission.blank_id)
        tags = self.language.decide(log_probs, lengths, langs)
        text = self.language.without_tags(log_probs)
        return tagged(self.searched(text, lengths, emission.blank_id), tags)

    def searched(self, log_probs, lengths, blank_id, scorer: Scorer | None = None):
        """Paths of log probabilities (B, T, V) with these lengths, weighed by ``scorer``."""
        frames = search_frames(
            log_probs, lengths, blank_id, self.beam_size_token, self.blank_threshold
        )
        found = search(frames, self.beam_size, self.nbest, self.beam_threshold, scorer)
        return [[_path(prefix) for prefix in row] for row in found]


def _path(prefix: Prefix) -> TokenPath:
    return TokenPath(prefix.ids, prefix.score, prefix.am_score, prefix.lm_score)
