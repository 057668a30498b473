"""A recording's text, whose words have times, cut together with the recording.

Every word is in one piece: the pieces' texts joined by spaces are the whole text.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from asr_dro_plugin.decoding.segment import Lengths, Piece, Stretch, cut
from asr_dro_plugin.transcripts.transcript import Unit

LEAST = 1e-30  # a confidence of 0 has no logarithm


class TextPiece(NamedTuple):
    """A piece of a recording and the words in it.

    ``score`` is the mean over the words' characters of their log probabilities (natural): 0 is
    certain, a text that is not said lies several units lower.
    """

    piece: Piece
    text: str
    score: float


def cut_words(
    words: Sequence[Unit],
    lengths: Lengths,
    duration: float,
    pause: float = 0.3,
    cut_speech: bool = False,
) -> list[TextPiece]:
    """Pieces of a recording with their texts; none without a word.

    Args:
        words: in order, with times.
        lengths: what is wanted.
        duration: seconds of the recording.
        pause: seconds between two words from which on a cut may lie there.
        cut_speech: whether stretches that are too long may be cut between any two words.
    """
    stretches, firsts = [], []
    for run in _runs(words, pause):
        start, end = words[run.start].start, words[run.stop - 1].end
        alone = cut_speech and end - start > lengths.longest
        stretches += _single_words(words, run, pause) if alone else [Stretch(start, end)]
        firsts += run if alone else [run.start]
    firsts.append(len(words))
    pieces = cut(stretches, lengths, duration)
    texts = (words[firsts[piece.first] : firsts[piece.last]] for piece in pieces)
    return [
        TextPiece(p, " ".join(word.text for word in t), _score(t)) for p, t in zip(pieces, texts)
    ]


def _score(words: Sequence[Unit]) -> float:
    """Of a piece's words; one without a length (a dash) has no sound and does not count."""
    sizes = [len(word.text) if word.end > word.start else 0 for word in words]
    logs = (math.log(max(word.confidence, LEAST)) for word in words)
    return sum(size * value for size, value in zip(sizes, logs)) / max(sum(sizes), 1)


def _runs(words: Sequence[Unit], pause: float) -> Iterator[range]:
    """Indices of words between which there is no pause."""
    first = 0
    for n in range(1, len(words) + 1):
        if n == len(words) or words[n].start - words[n - 1].end >= pause:
            yield range(first, n)
            first = n


def _single_words(words: Sequence[Unit], run: range, pause: float) -> Iterator[Stretch]:
    """The words of a run; a cut before one is the worse, the nearer it follows."""
    for n in run:
        gap = words[n].start - words[n - 1].end if n > run.start else pause
        badness = None if n == run.start else 1 - max(gap, 0) / pause
        yield Stretch(words[n].start, words[n].end, badness)
