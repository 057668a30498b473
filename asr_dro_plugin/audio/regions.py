"""A recording in pieces of regions: the whole as one, or those of speech, found as it comes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.vad import FRAME, HYSTERESIS, SpeechDetector, runs_of
from asr_dro_plugin.audio.waiting import Waiting

THRESHOLD, MIN_SPEECH, MIN_SILENCE, PAD = 0.5, 0.25, 0.3, 0.1  # ``vad.find_speech``'s own
BLOCK = 128 * FRAME  # samples that are listened to at a time: 4 s
HELD = 30 * SAMPLE_RATE  # samples that are kept while no speech has been found
SECONDS = FRAME / SAMPLE_RATE


class RegionPiece(NamedTuple):
    """Samples (N,) of a region that begins ``offset`` seconds into the recording.

    ``is_last`` ends the region; ``seconds_done`` of the recording have been read.
    """

    samples: np.ndarray
    offset: float
    is_last: bool
    seconds_done: float


def one_region(blocks: Iterable[np.ndarray]) -> Iterator[RegionPiece]:
    """The whole recording, from blocks (N,) at ``SAMPLE_RATE``."""
    done = 0
    for block in blocks:
        done += len(block)
        yield RegionPiece(block, 0.0, False, done / SAMPLE_RATE)
    yield RegionPiece(np.zeros(0, np.float32), 0.0, True, done / SAMPLE_RATE)


def speech_regions_of(blocks: Iterable[np.ndarray]) -> Iterator[RegionPiece]:
    """The regions that ``vad.speech_regions`` finds, while the recording comes in.

    Where there is no speech in it, it is one region as a whole, if no longer than ``HELD``; else
    there is no region.  Pieces without samples outside of any region tell of progress alone.
    """
    finder, waiting, done = _Finder(), Waiting(), 0
    for block in blocks:
        waiting.add(block)
        done += len(block)
        while waiting.size >= BLOCK:
            yield from finder.add(waiting.take(BLOCK), done / SAMPLE_RATE)
    yield from finder.end(waiting.take(waiting.size), done / SAMPLE_RATE)


class _Finder:
    """Regions of speech as they begin and end; numbers are of samples or of frames of 32 ms."""

    def __init__(self) -> None:
        self._listener, self._is_active = SpeechDetector(), False
        self._kept, self._kept_from = Waiting(), 0  # samples that may still be needed
        self._frames = 0  # heard
        self._region: tuple[int, int] | None = None  # frames of the one that is open
        self._given_to: int | None = None  # sample up to which it was given; None before
        self._offset = 0.0
        self._found = False
        self._last_end = -np.inf  # seconds, of the region before

    def add(self, samples: np.ndarray, done: float) -> Iterator[RegionPiece]:
        self._kept.add(samples)
        for start, end in self._runs(self._listener(samples)):
            if self._region and (start - self._region[1]) * SECONDS < MIN_SILENCE:
                self._region = self._region[0], end
            else:
                yield from self._end_region(done)
                self._region = start, end
        if self._region and (self._frames - self._region[1]) * SECONDS >= MIN_SILENCE + PAD:
            yield from self._end_region(done)
        yield from self._given(done)
        self._forget()
        if self._given_to is None:
            yield RegionPiece(np.zeros(0, np.float32), 0.0, False, done)

    def end(self, samples: np.ndarray, done: float) -> Iterator[RegionPiece]:
        if len(samples):
            yield from self.add(samples, done)
        yield from self._end_region(done)
        if self._found:
            return
        if not self._kept_from and self._kept.size:
            yield RegionPiece(self._kept.take(self._kept.size), 0.0, True, done)

    def _runs(self, probabilities: np.ndarray) -> list[tuple[int, int]]:
        """Runs of speech in the next frames; one that goes on from before begins with them."""
        active = np.empty(len(probabilities), bool)
        for number, probability in enumerate(probabilities):
            if probability >= THRESHOLD:
                self._is_active = True
            elif probability < THRESHOLD - HYSTERESIS:
                self._is_active = False
            active[number] = self._is_active
        first, self._frames = self._frames, self._frames + len(active)
        return [(first + start, first + end) for start, end in runs_of(active)]

    def _is_speech(self) -> bool:
        return bool(self._region) and ((self._region[1] - self._region[0]) * SECONDS >= MIN_SPEECH)

    def _given(self, done: float) -> Iterator[RegionPiece]:
        """What is known of the open region and was not given yet, if it is no mere noise."""
        if not self._is_speech():
            return
        if self._given_to is None:
            start = self._region[0] * SECONDS
            self._offset = max(start - min(PAD, (start - self._last_end) / 2), 0.0)
            self._given_to = round(self._offset * SAMPLE_RATE)
            self._found = True
        yield from self._up_to(self._region[1] * FRAME, False, done)

    def _end_region(self, done: float) -> Iterator[RegionPiece]:
        if self._is_speech():
            yield from self._given(done)
            self._last_end = self._region[1] * SECONDS
            end = round((self._last_end + PAD) * SAMPLE_RATE)
            yield from self._up_to(end, True, done)
        self._region = self._given_to = None

    def _up_to(self, end: int, is_last: bool, done: float) -> Iterator[RegionPiece]:
        self._kept_from += len(self._kept.take(self._given_to - self._kept_from))
        found = self._kept.take(end - self._given_to)
        self._kept_from += len(found)
        self._given_to = end
        if len(found) or is_last:
            yield RegionPiece(found, self._offset, is_last, done)

    def _forget(self) -> None:
        """Drop what no region can need; nothing while none was found in a short recording."""
        if not self._found and self._kept_from + self._kept.size <= HELD:
            return
        first = self._region[0] if self._region else self._frames
        needed = first * FRAME - round(PAD * SAMPLE_RATE) - 1
        if needed > self._kept_from and self._given_to is None:
            self._kept_from += len(self._kept.take(needed - self._kept_from))
