"""Log probabilities of speech that is still being said, in one of two ways.

``ExactFrames``: a frame of a stack of convolutions depends on a stretch of sound that is known, so
a frame whose stretch has been heard is final, and equal to that of the whole recording.  What lies
before the stretch is forgotten.

``WindowFrames``: a stack with attention, recurrence or statistics over the utterance has no such
stretch.  All that was said since the last cut is heard anew, with some of what was before it, each
time a hop of new sound has come; every frame may still change.

Frames are counted from the stream's beginning; frame n begins at sample ``n * shift``.

Shapes: N samples, T frames, V symbols.
"""

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE

Model = Callable[[np.ndarray], np.ndarray]  # (N,) float32 -> (T, V) natural logarithms
LONGEST_CONTEXT = 4 * SAMPLE_RATE  # samples: a receptive field beyond is too late to be live
SHARE = 0.25  # of a processor that one who speaks may take
TRIED = 4  # seconds
TOLERANCE = 1e-4  # of a log probability: below it nothing has changed but the rounding


@dataclass(frozen=True)
class Stack:
    """What the frames of a model depend on.

    Args:
        model: gives the log probabilities of one utterance.
        shift: samples from one frame to the next.
        min_samples: fewest that give a frame.
        num_symbols: V.
        receptive_field: samples that a frame depends on; None where that is the whole utterance.
    """

    model: Model
    shift: int
    min_samples: int
    num_symbols: int
    receptive_field: int | None = None

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(T, V), no frame where the samples are too few for one."""
        if len(samples) < self.min_samples:
            return np.zeros((0, self.num_symbols), np.float32)
        return self.model(samples)

    @property
    def is_exact(self) -> bool:
        """Whether it can be heard in pieces as if whole, soon enough to be live."""
        return self.receptive_field is not None and self.receptive_field <= LONGEST_CONTEXT


@functools.lru_cache(maxsize=8)
def contexts(stack: Stack) -> tuple[int, int]:
    """Frames before and behind a frame whose sound it may depend on, not more than it must be.

    The receptive field says how many in all, not where they lie.  Noise is heard whole and without
    one of its halves: where frames change, the stack sees that far at least on one side, and what
    is left of the field bounds what it sees on the other.

    Raises:
        ValueError: the stack sees farther than its receptive field says.
    """
    reach = -(-stack.receptive_field // stack.shift)
    middle = 2 * reach
    noise = np.random.default_rng(0).standard_normal(2 * middle * stack.shift, np.float32) * 0.1
    whole = stack(noise)
    changed = _changed(whole[:middle], stack(noise[: middle * stack.shift]))
    behind = middle - int(changed.min(initial=middle))
    changed = _changed(whole[middle:], stack(noise[middle * stack.shift :]))
    before = 1 + int(changed.max(initial=-1))
    if max(before, behind) > reach + 1:
        field = stack.receptive_field
        raise ValueError(f"a frame depends on more than the {field} samples that are said")
    return max(before, reach - behind), max(behind, reach - before + 1)


@functools.lru_cache(maxsize=8)
def cost_of(stack: Stack) -> float:
    """Seconds of a processor that a second of sound takes, the better of two tries."""
    noise = np.random.default_rng(0).standard_normal(TRIED * SAMPLE_RATE, np.float32) * 0.1
    took = []
    for _ in range(2):
        begin = time.process_time()
        stack(noise)
        took.append(time.process_time() - begin)
    return min(took) / TRIED


def _changed(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Numbers of the frames that differ, of as many as both have."""
    num = min(len(ours), len(others))
    return np.flatnonzero(np.abs(ours[:num] - others[:num]).max(axis=1) > TOLERANCE)


class LiveFrames(ABC):
    """Frames of the sound since the last cut.

    Args:
        stack: the model.
        hop: seconds of sound between two steps, at least.
        cost: seconds of a processor that a second of sound takes; steps are so far apart that they
            take no more than ``SHARE`` of one.

    Attributes:
        log_probs: (T, V) since the last cut.
        num_final: how many of them will not change.
        first: number of the first of them.
    """

    def __init__(self, stack: Stack, hop: float, cost: float = 0.0) -> None:
        self.stack, self._least_hop = stack, max(1, round(hop * SAMPLE_RATE))
        self._hop, self._again = self._least_hop, cost / SHARE
        self._origin = self._received = 0
        self._start()

    def _start(self) -> None:
        self._origin += self._received
        self._sound: list[np.ndarray] = []
        self._begin = self._received = self._waiting = self.first = 0
        self.log_probs, self.num_final = self.stack(np.zeros(0, np.float32)), 0
        self._hop = self._least_hop

    def seconds(self, frame: int) -> float:
        """When a frame begins, counted from the last cut, in seconds of the whole stream."""
        return (self._origin + (self.first + frame) * self.stack.shift) / SAMPLE_RATE

    @property
    def offset(self) -> float:
        """Where frame 0 begins, in seconds of the whole stream."""
        return self._origin / SAMPLE_RATE

    @property
    def heard(self) -> float:
        """Seconds of the whole stream."""
        return (self._origin + self._received) / SAMPLE_RATE

    def feed(self, samples: np.ndarray) -> Iterator[None]:
        """Take (N,) samples; stop after each step, which come at the same times however the sound
        is cut into pieces."""
        while len(samples):
            piece = samples[: self._hop - self._waiting]
            samples = samples[len(piece) :]
            self._sound.append(piece)
            self._received += len(piece)
            self._waiting += len(piece)
            if self._waiting == self._hop:
                self._waiting = 0
                self._step(False)
                yield
                kept = sum(map(len, self._sound))
                self._hop = max(self._least_hop, round(kept * self._again))

    def finish(self) -> None:
        """No more sound belongs to these frames: all are final."""
        self._step(True)
        self.num_final = len(self.log_probs)

    def cut(self, num: int) -> None:
        """The first ``num`` frames are done with."""
        self.first += num
        self.log_probs = self.log_probs[num:]
        self.num_final = max(0, self.num_final - num)
        self._forget()

    def restart(self, skip: int = 0) -> None:
        """The sound so far is done with, and ``skip`` more samples; what comes is a new recording,
        later in the stream."""
        self._received += skip
        self._start()

    def _samples(self) -> np.ndarray:
        """All that is kept, from frame ``_begin`` on."""
        self._sound = [np.concatenate(self._sound or [np.zeros(0, np.float32)])]
        return self._sound[0]

    def _keep_from(self, frame: int) -> None:
        if frame > self._begin:
            self._sound = [self._samples()[(frame - self._begin) * self.stack.shift :].copy()]
            self._begin = frame

    @abstractmethod
    def _step(self, last: bool) -> None:
        """Hear what is kept; ``last``: nothing will come after it."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop the sound that no later step needs."""


class ExactFrames(LiveFrames):
    """See the module.  ``latency`` is the seconds of sound behind a frame that it waits for.

    Raises:
        ValueError: the stack sees farther than its receptive field says.
    """

    def __init__(self, stack: Stack, hop: float, cost: float = 0.0) -> None:
        super().__init__(stack, hop, cost)
        self._before, self._behind = contexts(stack)
        self.latency = self._behind * stack.shift / SAMPLE_RATE

    def _step(self, last: bool) -> None:
        found, done = self.stack(self._samples()), self.first + self.num_final
        end = self._begin + len(found)
        if not last:
            end = max(done, min(end, self._received // self.stack.shift - self._behind))
        final, new = self.log_probs[: self.num_final], found[done - self._begin :]
        self.num_final += end - done
        self.log_probs = np.concatenate([final, new])
        self._forget()

    def _forget(self) -> None:
        self._keep_from(self.first + self.num_final - self._before)


class WindowFrames(LiveFrames):
    """See the module.

    Args:
        left: seconds before the last cut that are heard too, for the stack's statistics.
    """

    latency = 0.0

    def __init__(self, stack: Stack, hop: float, left: float, cost: float = 0.0) -> None:
        super().__init__(stack, hop, cost)
        self._left = round(left * SAMPLE_RATE / stack.shift)

    def _step(self, last: bool) -> None:
        self.log_probs = self.stack(self._samples())[self.first - self._begin :]

    def _forget(self) -> None:
        self._keep_from(self.first - self._left)
