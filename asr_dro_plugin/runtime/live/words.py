"""Decoding of frames that go on: tokens with their frames, words with times, pauses.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.align import TokenSpan, align_tokens
from asr_dro_plugin.decoding.language import SPACES, LanguageChoice
from asr_dro_plugin.decoding.units import units_of
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcripts.transcript import Unit


def spans_of(log_probs: np.ndarray, blank_id: int, first: int = 0) -> list[TokenSpan]:
    """Tokens of the likeliest path of (T, V), with frames counted from ``first``."""
    best = log_probs.argmax(axis=1)
    edges = np.flatnonzero(np.diff(best, prepend=-1, append=-1))
    return [
        TokenSpan(int(best[a]), first + a, first + b, float(log_probs[a:b, best[a]].mean()))
        for a, b in zip(edges[:-1].tolist(), edges[1:].tolist())
        if best[a] != blank_id
    ]


def joined(before: Sequence[TokenSpan], after: Sequence[TokenSpan]) -> list[TokenSpan]:
    """Tokens of frames that follow on; one that lies on the border is one."""
    if before and after and before[-1].id == after[0].id and before[-1].end == after[0].start:
        a, b = before[-1], after[0]
        lengths = a.end - a.start, b.end - b.start
        score = (a.score * lengths[0] + b.score * lengths[1]) / sum(lengths)
        return [*before[:-1], TokenSpan(a.id, a.start, b.end, score), *after[1:]]
    return [*before, *after]


@dataclass(frozen=True)
class TokenReader:
    """What a model's tokens mean.

    Args:
        tokens, token_type, blank_id: the model's.
        shift: seconds from one frame to the next.
        language: which may be found.
        decoder: what reads an item's frames in the end; None for the likeliest path.
        given: the language that is told to it.
    """

    tokens: Sequence[str]
    token_type: str
    blank_id: int
    shift: float
    language: LanguageChoice
    decoder: AbsDecoder | None = None
    given: str | None = None

    def spans(self, log_probs: np.ndarray, first: int) -> list[TokenSpan]:
        """The likeliest path of frames (T, V), which are counted from ``first``."""
        return spans_of(self.text_part(log_probs), self.blank_id, first)

    def last_spans(self, log_probs: np.ndarray, first: int) -> list[TokenSpan]:
        """The same of frames that stay, by the decoder."""
        if self.decoder is None or not len(log_probs):
            return self.spans(log_probs, first)
        lengths = np.array([len(log_probs)])
        emission = Emission(log_probs[None], lengths, self.shift, self.blank_id, self.tokens)
        ids = self.decoder(emission, [self.given])[0][0].ids
        try:
            spans = align_tokens(log_probs, ids, self.blank_id)
        except UserError:  # a text that the frames exclude
            return self.spans(log_probs, first)
        return [span._replace(start=first + span.start, end=first + span.end) for span in spans]

    def text_part(self, log_probs: np.ndarray) -> np.ndarray:
        """(T, V) as it is where every language may be found, else without the tags."""
        if self.language.is_free or not len(log_probs):
            return log_probs
        return self.language.without_tags(log_probs[None])[0]

    def decided(self, log_probs: np.ndarray) -> str | None:
        """The one language of (T, V), where a choice is to be made or was made."""
        if self.language.only or self.language.is_free:
            return self.language.only
        return self.language.decide_over([log_probs])

    def lang_of(self, spans: Sequence[TokenSpan]) -> str | None:
        """The first tag's language."""
        tags = (split_tag(self.tokens[span.id])[0] for span in spans)
        return next(filter(None, tags), None)

    def words(self, spans: Sequence[TokenSpan], offset: float, end: float) -> list[Unit]:
        """Words with times between ``offset``, that of frame 0, and ``end``; no tags."""
        words, _ = units_of(spans, self.tokens, self.token_type, self.shift, offset, end)
        return [word for word in words if not split_tag(word.text)[0]]

    def is_speech(self, log_probs: np.ndarray, threshold: float) -> np.ndarray:
        """(T,) bool: frames in which neither blank nor space nor tag is likely."""
        spaces = [index for index, token in enumerate(self.tokens) if token in SPACES]
        silent = log_probs[:, [self.blank_id, *spaces, *self.language.tags.values()]]
        return np.logaddexp.reduce(silent, axis=1) < np.log1p(-threshold)


class Agreement:
    """Words that two successive hypotheses of one stretch of speech agree on, in order, once each.

    A word counts as said before by its time, for its place in the text may change.
    Source: local agreement, Liu et al. 2020 (arXiv:2005.11185).

    Attributes:
        said: when the last word that was said ends, seconds of the stream.
    """

    def __init__(self) -> None:
        self._before: list[Unit] = []
        self.said = 0.0

    def forget(self) -> None:
        """Another stretch of speech begins."""
        self._before = []

    def __call__(self, words: Sequence[Unit]) -> list[Unit]:
        """The words that have become certain; the last of ``words`` may go on and is none."""
        own, before = self.unsaid(words)[:-1], self.unsaid(self._before)
        self._before = list(words)
        num = 0
        while num < min(len(own), len(before)) and own[num].text == before[num].text:
            num += 1
        return self._say(own[:num])

    def settle(self, words: Sequence[Unit]) -> list[Unit]:
        """The words that are not said yet, all certain now."""
        return self._say(self.unsaid(words))

    def unsaid(self, words: Sequence[Unit]) -> list[Unit]:
        """Those behind the last one that was said."""
        return [word for word in words if (word.start + word.end) / 2 > self.said]

    def _say(self, words: list[Unit]) -> list[Unit]:
        if words:
            self.said = words[-1].end
        return words
