"""Several channels to one: their mean, and where they cancel each other out the louder one.

A microphone wired the wrong way round makes two channels opposite, and their mean silence.  The
choice is made for cells of a second on a fixed grid, so that a stretch of a recording is the same
samples however it is read.
"""

import numpy as np

CANCELLED = 0.1  # of the power that the mean of unrelated channels has: less is no accident
CLOSE = 0.5  # of the loudest channel's power: the first such channel is taken


class Mixer:
    """Blocks of channels in, one channel out; what does not fill a cell yet waits.

    Args:
        channels: number of channels C.
        cell: samples of a cell; the first block begins one.

    Attributes:
        num_cancelled: samples for which the louder channel was taken.
    """

    def __init__(self, channels: int, cell: int) -> None:
        self.channels, self.cell = channels, cell
        self.num_cancelled = 0
        self._waiting: list[np.ndarray] = []
        self._num_waiting = 0

    def add(self, block: np.ndarray) -> np.ndarray:
        """(C, N) float32 -> (M,) float32 of whole cells."""
        if self.channels == 1:
            return block[0]
        self._waiting.append(block)
        self._num_waiting += block.shape[1]
        return self._taken(self._num_waiting - self._num_waiting % self.cell)

    def rest(self) -> np.ndarray:
        """(M,) float32: what is left of the last cell."""
        return self._taken(self._num_waiting)

    def _taken(self, number: int) -> np.ndarray:
        if not number:
            return np.zeros(0, np.float32)
        block = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting, 1)
        self._waiting, self._num_waiting = [], block.shape[1] - number
        if self._num_waiting:
            self._waiting = [block[:, number:]]
        block = block[:, :number]
        mono = mean_of(block)
        for start in range(0, number, self.cell):
            cell = slice(start, start + self.cell)
            self._mend(block[:, cell], mono[cell])
        return mono

    def _mend(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Put the louder channel where the mean has far less power than unrelated ones' would."""
        power = np.einsum("cn,cn->c", block, block)
        if not np.dot(mono, mono) < CANCELLED * power.sum() / len(block) ** 2:
            return
        mono[:] = block[int((power >= CLOSE * power.max()).argmax())]
        self.num_cancelled += len(mono)


def mean_of(block: np.ndarray) -> np.ndarray:
    """(C, N) -> (N,) float32, the mean over channels."""
    mono = block[0].astype(np.float32)
    for channel in block[1:]:
        mono += channel
    mono /= len(block)
    return mono


def cancelled_note(seconds: float) -> str:
    """Words for channels whose mean is nothing."""
    return f"has channels that cancel each other out for {seconds:.2f} s: the louder one is taken"
