"""Samples of any length come in, frames go out as they are final; little of either is held.

The chunks are those of ``decoding.chunks``, planned while the recording comes in; digital silence
is left out as ``decoding.sounding`` does it, a window at a time: the noise that fills short
silences is as faint as the faintest sound of its window, not of the whole recording.
"""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.silence import WINDOW, has_sound
from asr_dro_plugin.audio.waiting import Waiting
from asr_dro_plugin.decoding.chunks import Chunk, chunk_frames, stitch
from asr_dro_plugin.decoding.sounding import Sounding, blanks
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser

MOST_BLANKS = 4096  # frames of silence that are given at a time
SILENCE_WINDOW = 32.0  # seconds, about: in which digital silence is looked for


class Hearing:
    """A model that hears one stretch of speech, however long.

    Args:
        recogniser: a model whose frames are exact.
        chunk_length, stride: seconds, as in ``plan_chunks``.
        heed: told the log probabilities (T, V) of each chunk, its strides included.

    Raises:
        ChunkError: as ``plan_chunks``.

    Attributes:
        has_sound: whether there was anything but digital silence so far.
        num_heard: frames that the model gave so far.
    """

    def __init__(
        self,
        recogniser: AbsRecogniser,
        chunk_length: float,
        stride: tuple[float, float] | None,
        heed: Callable[[np.ndarray], None],
    ) -> None:
        self._recogniser, self._heed = recogniser, heed
        self._hop = hop = round(recogniser.frame_shift * SAMPLE_RATE)
        self._length, self._left, self._right = chunk_frames(chunk_length, stride, hop, SAMPLE_RATE)
        unit = int(np.lcm(hop, WINDOW))
        self._window = unit * max(1, round(SILENCE_WINDOW * SAMPLE_RATE / unit))
        self._nothing = np.zeros((0, len(recogniser.tokens)), np.float32)
        self._raw = Waiting()
        self._heard = Waiting()
        self._start = 0  # frame of what is heard at which the next chunk begins
        self._planned = 0  # frames of what is heard that lie in windows looked at
        self._cuts: deque[tuple[int, int]] = deque()  # (frame of what is heard, silent frames)
        self.has_sound, self.num_heard = False, 0

    def add(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Take more samples (N,); gives (T, V) frames that are final, after each chunk."""
        self._raw.add(samples)
        while self._raw.size > self._window:
            self._look_at(self._raw.take(self._window))
            yield from self._chunks()

    def end(self) -> Iterator[np.ndarray]:
        """The rest of the frames."""
        self._look_at(self._raw.take(self._raw.size))
        yield from self._chunks()
        if self._heard.size:
            yield from self._placed(self._run(self._heard.take(self._heard.size), is_last=True))
        yield from self._placed(self._nothing, is_last=True)

    def _look_at(self, samples: np.ndarray) -> None:
        """Leave out the silence of a window."""
        self.has_sound = self.has_sound or has_sound(samples)
        sounding = Sounding(samples, self._hop)
        left_out = 0
        for start, end in sounding.cuts:
            self._cuts.append((self._planned + start - left_out, end - start))
            left_out += end - start
        heard = sounding.heard
        self._planned += len(heard) // self._hop
        self._heard.add(heard)

    def _chunks(self) -> Iterator[np.ndarray]:
        """All chunks that are not the last one."""
        while self._heard.size > self._length * self._hop:
            samples = self._heard.peek(self._length * self._hop)
            frames = self._run(samples, is_last=False)
            step = self._length - self._left - self._right
            self._heard.take(step * self._hop)
            self._start += step
            yield from self._placed(frames)
        if not self._heard.size:
            yield from self._placed(self._nothing, is_last=True)

    def _run(self, samples: np.ndarray, is_last: bool) -> np.ndarray:
        """(T, V): the frames of a chunk that are kept."""
        first = self._left if self._start else 0
        if len(samples) < self._recogniser.min_samples:
            return self._nothing
        emission = self._recogniser.emission([samples])
        piece = emission.log_probs[0, : int(emission.lengths[0])]
        self._heed(piece)
        last = None if is_last else self._length - self._right
        return stitch([piece], [Chunk(0, len(samples), first, last)])

    def _placed(self, frames: np.ndarray, is_last: bool = False) -> Iterator[np.ndarray]:
        """Frames, and the blank ones of the silence between them; all that is known if last."""
        upto = self.num_heard + len(frames)
        while self._cuts and (is_last or self._cuts[0][0] < upto):
            at, silent = self._cuts.popleft()
            before = max(0, at - self.num_heard)
            yield frames[:before]
            frames, self.num_heard = frames[before:], min(self.num_heard + before, upto)
            for first in range(0, silent, MOST_BLANKS):
                number = min(MOST_BLANKS, silent - first)
                yield blanks(number, self._nothing, self._recogniser.blank_id)
        self.num_heard = upto
        yield frames
