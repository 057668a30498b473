"""Hypotheses that run away: a decoder that does not find the end of its sentence is ended.

An attention decoder decides by itself when a text is over.  One that was fine-tuned on little, or
that hears something it never learnt, may write on as long as it has positions for, most often the
same words again and again.  Two rules end it, neither of which touches a text that could be said:

- *Time.*  A text has no more characters than ``max_chars_per_second`` times the seconds of sound,
  and ``SPARE_CHARS`` (in ESPnet ``maxlenratio`` bounds tokens by frames, which here may be those
  of 30 seconds of silence).  Characters, since they cost the same time in every vocabulary.
- *Repetition.*  The end of a text is a loop where each of its last r tokens equals the one n
  before it, for any n, with r >= ``REPEATED_TOKENS`` and r >= (``COPIES`` - 1) n: a sentence four
  times on end, a word of two pieces nine times.  Whisper measures the same by how well the text
  compresses (Radford et al. 2022, section 4.5), and only when it is written to its end.

What repeats is kept once.  Sampling at a higher temperature, as Whisper then does, is not done:
it would give another text in every run.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from asr_dro_plugin.decoding.greedy import speller
from asr_dro_plugin.decoding.options import KEYS, OF_WRITING
from asr_dro_plugin.text.tokens import TOKEN_TYPES
from asr_dro_plugin.text.whisper_tokens import spelled_bytes

SPARE_CHARS = 20  # of a word whose recording was cut closely
REPEATED_TOKENS, COPIES = 16, 4
COPIES_AT_END = 3  # that count as a loop in a text which is too long anyway
# Why a text was ended.
REPEATS, TOO_LONG = "it repeats itself", "it is longer than can be said in its time"
NO_ROOM = "it has as many tokens as may be written"


@dataclass(frozen=True)
class WritingLimits:
    """When a hypothesis is ended.

    Args:
        max_chars_per_second: of text in a second of sound; None sets no limit.
        end_repetition: whether a loop ends it.
    """

    max_chars_per_second: float | None = KEYS["max_chars_per_second"].default
    end_repetition: bool = KEYS["end_repetition"].default

    @classmethod
    def of(cls, config: Mapping) -> "WritingLimits":
        """The limits among a decoding configuration's keys."""
        return cls(**{key: config[key] for key in OF_WRITING if key in config})

    def most_chars(self, seconds: float | None) -> float:
        """Characters of a text for so much sound; infinite where nothing limits it."""
        if seconds is None or self.max_chars_per_second is None:
            return float("inf")
        return self.max_chars_per_second * seconds + SPARE_CHARS


class Repetition:
    """How many tokens at the end of a row only repeat what stands before them."""

    def __init__(self) -> None:
        self.num = 0
        self._places: dict[int, list[int]] = defaultdict(list)
        self._runs: dict[int, int] = {}  # n -> last tokens that each equal the one n before

    def add(self, token: int) -> None:
        """The next token; costs as much as it was written before."""
        periods = [self.num - place for place in self._places[token]]
        self._runs = {period: self._runs.get(period, 0) + 1 for period in periods}
        self._places[token].append(self.num)
        self.num += 1

    def repeated(self, copies: int = COPIES, least: int = REPEATED_TOKENS) -> int:
        """Last tokens that are nothing new: at least ``least``, and all copies but the first of
        ``copies`` or more; 0 where the end is no loop."""
        loops = (n for period, n in self._runs.items() if n >= max(least, (copies - 1) * period))
        return max(loops, default=0)


class GrowingText:
    """The tokens of one text as a decoder writes them.

    Args:
        chars_V: characters of each token, as ``chars_of_tokens`` counts them.
        most_chars, most_tokens: that it may have.
        end_repetition: whether a loop ends it.

    Attributes:
        ids, scores: its tokens, and the log probability of each and of the end.
        is_going: whether it is to be written on.
        why: why it was ended, empty for one that ended by itself.
    """

    def __init__(
        self, chars_V: np.ndarray, most_chars: float, most_tokens: int, end_repetition: bool = True
    ) -> None:
        self.chars_V, self.end_repetition = chars_V, end_repetition
        self.most_chars, self.most_tokens = most_chars, most_tokens
        self.ids: list[int] = []
        self.scores: list[float] = []
        self.num_chars = 0
        self.is_going, self.why = most_tokens > 0, ""
        self._repetition = Repetition()

    def end(self, score: float) -> None:
        """The decoder's own end of the text."""
        self.scores.append(score)
        self.is_going = False

    def add(self, token: int, score: float) -> None:
        """One more token, after which the text may have to end."""
        self.ids.append(token)
        self.scores.append(score)
        self.num_chars += int(self.chars_V[token])
        self._repetition.add(token)
        if self.end_repetition and (repeated := self._repetition.repeated()):
            self._end_early(REPEATS, repeated)
        elif self.num_chars > self.most_chars:
            few = self._repetition.repeated(COPIES_AT_END, 1) if self.end_repetition else 0
            self._end_early(REPEATS if few else TOO_LONG, max(few, 1))
        elif len(self.ids) >= self.most_tokens:
            self._end_early(NO_ROOM, 0)

    def _end_early(self, why: str, num_tokens: int) -> None:
        """End it without its last tokens."""
        kept = len(self.ids) - num_tokens
        del self.ids[kept:], self.scores[kept:]
        self.is_going, self.why = False, why


def chars_of_tokens(tokens: Sequence[str], token_type: str) -> np.ndarray:
    """Characters (V,) that each token adds to a text, int32; letters of Whisper's tokens are bytes,
    of which those that begin a character count."""
    return _chars_of_tokens(tuple(tokens), token_type)


@lru_cache(maxsize=4)
def _chars_of_tokens(tokens: tuple[str, ...], token_type: str) -> np.ndarray:
    if token_type == "hugging_face":
        counts = [sum(byte & 0xC0 != 0x80 for byte in spelled_bytes(name)) for name in tokens]
    else:
        spell = speller(tokens, token_type if token_type in TOKEN_TYPES else "word")
        counts = [max(1, len(spell([number]))) for number in range(len(tokens))]
    return np.array(counts, np.int32)
