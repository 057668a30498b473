"""Long recordings cut at their pauses into pieces of a wanted length.

Dynamic programming over the pauses: the best way to cut before stretch j is the best over all
beginnings i of the last piece; a piece holds few stretches, so that this is nearly linear.  What
counts, in this order: no piece above the longest length, cuts in pauses, no piece below the
shortest, and then long pauses and lengths near the middle.  Silence at a cut belongs to neither
piece but for a margin.  Times are seconds of the recording.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.vad import Region, joined, runs_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.transcript import Unit

TOO_LONG, IN_SPEECH, TOO_SHORT = 1e9, 1e6, 1e3  # each outweighs what a recording has of the next
PAUSE_SCALE = 0.25  # seconds; a cut in a pause of so much costs half of one in none
LEAST = 1e-30  # a confidence of 0 has no logarithm
EDGE = 1e-6  # seconds of rounding that break no bound


@dataclass(frozen=True)
class Lengths:
    """What is wanted of the pieces, in seconds.

    Args:
        shortest: no piece should be shorter,
        longest: nor longer.
        pad: silence that a piece keeps at either end, at most half the pause.
    """

    shortest: float = 5.0
    longest: float = 20.0
    pad: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.shortest < self.longest:
            raise UserError(
                f"Pieces of {self.shortest:g} to {self.longest:g} s cannot be made. Give a --min "
                "of 0 or more, and a longer --max."
            )


class Stretch(NamedTuple):
    """Speech that is not cut; ``badness`` is 0..1 where it follows on the last without a pause."""

    start: float
    end: float
    badness: float | None = None


class Piece(NamedTuple):
    """A piece, of stretches ``first`` to ``last`` (not included); ``faults`` is what it lacks."""

    start: float
    end: float
    first: int
    last: int
    faults: tuple[str, ...] = ()


def cut(stretches: Sequence[Stretch], lengths: Lengths, duration: float) -> list[Piece]:
    """The best pieces, in order, that together hold every stretch.

    A length out of range where nothing better can be done, and a cut without a pause, are named in
    the piece's ``faults``: ``too long``, ``too short``, ``begins in speech``.

    Args:
        stretches: in order, not overlapping; cut only between them.
        duration: of the recording.
    """
    if not stretches:
        return []
    before, after = _margins(stretches, lengths.pad, duration)
    cuts = _cut_costs(stretches)
    starts, ends = np.array([stretch[:2] for stretch in stretches]).T
    best, came = np.full(len(stretches) + 1, np.inf), np.zeros(len(stretches) + 1, dtype=np.int64)
    best[0] = 0
    for last in range(1, len(stretches) + 1):
        # beginnings of pieces that are not too long, and of the last stretch alone
        low = int(np.searchsorted(starts, ends[last - 1] - lengths.longest - EDGE))
        firsts = np.arange(min(low, last - 1), last)
        bare = ends[last - 1] - starts[firsts]
        seconds = np.maximum(
            bare, np.minimum(bare + before[firsts] + after[last - 1], lengths.longest)
        )
        costs = best[firsts] + cuts[firsts] + _shape(seconds, lengths)
        choice = int(costs.argmin())
        best[last], came[last] = costs[choice], firsts[choice]
    bounds = _bounds(len(stretches), came)
    return [_piece(stretches, first, last, before, after, lengths) for first, last in bounds]


def _margins(
    stretches: Sequence[Stretch], pad: float, duration: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n,), (n,): silence that a piece keeps before and after each stretch."""
    starts, ends = np.array([stretch[:2] for stretch in stretches]).T
    half = np.maximum(starts[1:] - ends[:-1], 0) / 2
    before = np.minimum(np.append(starts[0], half), pad)
    after = np.minimum(np.append(half, max(duration - ends[-1], 0)), pad)
    return before, after


def _cut_costs(stretches: Sequence[Stretch]) -> np.ndarray:
    """(n,): what it costs to begin a piece with each stretch; the first one costs nothing."""
    costs = np.zeros(len(stretches))
    for n, (before, after) in enumerate(zip(stretches, stretches[1:]), 1):
        if after.badness is None:
            costs[n] = PAUSE_SCALE / (PAUSE_SCALE + max(after.start - before.end, 0))
        else:
            costs[n] = IN_SPEECH * (1 + after.badness)
    return costs


def _shape(seconds: np.ndarray, lengths: Lengths) -> np.ndarray:
    """What pieces of (k,) seconds cost: squared distance to the middle, and leaving the range."""
    width = lengths.longest - lengths.shortest
    middle = (lengths.longest + lengths.shortest) / 2
    over = np.maximum(seconds - lengths.longest - EDGE, 0)
    under = np.maximum(lengths.shortest - EDGE - seconds, 0)
    cost = ((seconds - middle) / width) ** 2
    cost = np.where(over > 0, TOO_LONG * (1 + over / lengths.longest), cost)
    return np.where(under > 0, TOO_SHORT * (1 + under / max(lengths.shortest, EDGE)), cost)


def _bounds(last: int, came: np.ndarray) -> list[tuple[int, int]]:
    """Follow the choices back from the end: first and last stretch of each piece."""
    bounds = []
    while last:
        bounds.append((int(came[last]), last))
        last = bounds[-1][0]
    return bounds[::-1]


def _piece(
    stretches: Sequence[Stretch],
    first: int,
    last: int,
    before: np.ndarray,
    after: np.ndarray,
    lengths: Lengths,
) -> Piece:
    """A piece with its margins, made smaller where they would make it too long."""
    start, end = stretches[first].start, stretches[last - 1].end
    margins = np.array([before[first], after[last - 1]])
    room = max(lengths.longest - (end - start), 0)
    if margins.sum() > room:
        margins *= room / margins.sum()
    start, end = float(start - margins[0]), float(end + margins[1])
    begins_in_speech = first > 0 and stretches[first].badness is not None
    return Piece(start, end, first, last, _faults(end - start, begins_in_speech, lengths))


def _faults(seconds: float, begins_in_speech: bool, lengths: Lengths) -> tuple[str, ...]:
    known = {
        "too long": seconds > lengths.longest + EDGE,
        "too short": seconds < lengths.shortest - EDGE,
        "begins in speech": begins_in_speech,
    }
    return tuple(fault for fault, holds in known.items() if holds)


def voiced(
    best: np.ndarray, silent: Sequence[int], frame_shift: float, pause: float
) -> list[Region]:
    """Stretches between the pauses of an emission: where something is said.

    Args:
        best: (T,) the likeliest column of each frame.
        silent: columns that are no sound: the blank, the space, language tags.
        frame_shift, pause: seconds; blanks shorter than ``pause`` lie between the letters of words.
    """
    runs = runs_of(~np.isin(best, list(silent)))
    return joined([(start * frame_shift, end * frame_shift) for start, end in runs], pause)


def with_quiet_cuts(
    regions: Sequence[Region], samples: np.ndarray, longest: float, every: float = 0.25
) -> list[Stretch]:
    """Stretches of regions; those longer than ``longest`` s may be cut where they are quietest.

    ``samples`` (N,) at 16 kHz are the recording; ``every`` so many seconds is a possible cut.
    """
    found: list[Stretch] = []
    for start, end in regions:
        if end - start <= longest:
            found.append(Stretch(start, end))
            continue
        times, badness = _quiet_points(samples, start, end, every)
        edges = [start, *times, end]
        found += map(Stretch, edges, edges[1:], [None, *badness])
    return found


def _quiet_points(
    samples: np.ndarray, start: float, end: float, every: float
) -> tuple[list[float], list[float]]:
    """The quietest 50 ms of each ``every`` seconds: their middles, and ranks of loudness 0..1."""
    hop = SAMPLE_RATE // 100
    piece = samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    rows = piece[: len(piece) // hop * hop].reshape(-1, hop)
    power = np.convolve(np.einsum("nh,nh->n", rows, rows), np.full(5, 0.2), mode="same")
    step = round(every * 100)
    windows = power[: len(power) // step * step].reshape(-1, step)[1:-1]
    frames = windows.argmin(1) + step * np.arange(1, len(windows) + 1)
    loudness = np.argsort(np.argsort(windows.min(1))) / max(len(windows) - 1, 1)
    return (start + (frames + 0.5) * 0.01).tolist(), loudness.tolist()


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
    """Pieces of a recording with their texts, cut along; none without a word.

    Every word is in one piece: the pieces' texts joined by spaces are the whole text.

    Args:
        words: in order, with times.
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
    """Of a piece's words; one without a length (a dash) has no sound and does not count.

    Nor does one that the model has no tokens for (its confidence is 0), but where all are such.
    """
    words = [word for word in words if word.confidence] or words
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
