"""A long recording without its digital silence, and its frames put back where they belong.

A model that normalises each utterance, or each chunk, was trained on rooms, which are never quite
silent.  Stretches without any signal, far below all that it knows, move the mean and stretch the
deviation until the speech beside them is another language.  So they take no part: long ones are
left out but for their edges, and what is left of them is filled with noise as faint as the
recording's faintest sound.  Their own frames are blank.
"""

from functools import cached_property

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.silence import WINDOW, silences

SHORTEST = 0.05  # seconds: shorter stretches are part of speech
PAUSE = 0.5  # seconds from which on a stretch is left out,
EDGE = 0.1  # but for so much at either end
FAINTEST = 5  # per cent of the windows with signal are fainter than the noise
QUIETER = (1e-3, 3e-2)  # of the loudness of the whole, which bounds the noise


class Sounding:
    """What of a recording a model hears.

    Args:
        samples: (N,) float32 at ``SAMPLE_RATE``.
        align_to: samples a frame of the model.

    Attributes:
        cuts: (start, end) in frames of what is left out, in order.
    """

    def __init__(self, samples: np.ndarray, align_to: int) -> None:
        self.samples, self._align_to = samples, align_to
        self._silences = silences(samples, SHORTEST)
        self.cuts = [cut for cut in map(self._cut, self._silences) if cut[0] < cut[1]]

    def _cut(self, silence: tuple[int, int]) -> tuple[int, int]:
        """The frames of a silence between its edges; the recording's own ends need none."""
        start, end = silence
        if end - start < PAUSE * SAMPLE_RATE:
            return 0, 0
        edge = round(EDGE * SAMPLE_RATE)
        first = start + edge if start else 0
        last = end - edge if start and end < len(self.samples) else end
        return -(-first // self._align_to), last // self._align_to

    @cached_property
    def heard(self) -> np.ndarray:
        """(M,) float32, M <= N: without the cuts, other silences filled; or the samples."""
        if not self._silences:
            return self.samples
        filled = self.samples.copy()
        hiss = np.random.default_rng(0).standard_normal(round(EDGE * SAMPLE_RATE), np.float32)
        hiss *= self._faintest()
        for start, end in self._silences:  # both edges are the same, however long the pause
            filled[start:end] += np.resize(hiss, end - start)
            edge = slice(max(start, end - len(hiss)), end)
            filled[edge] = self.samples[edge] + hiss[-(end - start) :]
        keep = np.ones(len(filled), bool)
        for start, end in self.cuts:
            keep[start * self._align_to : end * self._align_to] = False
        return filled[keep]

    def _faintest(self) -> float:
        """The noise's deviation: that of the faintest windows which have a signal."""
        whole = len(self.samples) // WINDOW
        rows = self.samples[: whole * WINDOW].reshape(whole, WINDOW)
        deviation = rows.std(axis=1)
        for start, end in self._silences:
            deviation[start // WINDOW : -(-end // WINDOW)] = 0.0
        deviation = deviation[deviation > 0]
        if not len(deviation):
            return 0.0
        loudness = float(np.sqrt(np.mean(np.square(deviation))))
        return float(np.clip(np.percentile(deviation, FAINTEST), *np.multiply(QUIETER, loudness)))

    def whole(self, log_probs: np.ndarray, blank_id: int) -> np.ndarray:
        """(T, V) of all frames, from the (S, V) of those heard: the others are blank."""
        if not self.cuts:
            return log_probs
        parts: list[np.ndarray] = []
        done = left_out = 0
        for start, end in self.cuts:
            upto = min(start - left_out, len(log_probs))
            parts += [log_probs[done:upto], blanks(end - start, log_probs, blank_id)]
            done, left_out = upto, left_out + end - start
        return np.concatenate([*parts, log_probs[done:]])


def blanks(number: int, like: np.ndarray, blank_id: int) -> np.ndarray:
    """(number, V) frames that are certain of the blank, with the columns and kind of ``like``."""
    rows = np.full((number, like.shape[1]), -np.inf, like.dtype)
    rows[:, blank_id] = 0.0
    return rows
