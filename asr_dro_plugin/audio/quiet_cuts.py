"""Long audio cut into pieces where it is quietest, for models that take so many seconds at most."""

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE

WINDOW = SAMPLE_RATE // 5  # samples over which loudness is measured
EARLIEST = 0.5  # of the longest piece: no cut lies before


def quiet_pieces(samples: np.ndarray, longest: int) -> list[tuple[int, int]]:
    """(start, end) of pieces of at most ``longest`` samples that follow on without gap or overlap.

    Each ends in the middle of the quietest fifth of a second of its second half.
    """
    pieces, start = [], 0
    while len(samples) - start > longest:
        first = start + int(EARLIEST * longest)
        end = max(first + _quietest(samples[first : start + longest]), start + 1)
        pieces.append((start, end))
        start = end
    return [*pieces, (start, len(samples))]


def _quietest(samples: np.ndarray) -> int:
    """The middle of the window with the least energy."""
    window = min(WINDOW, len(samples))
    energy = np.cumsum(np.concatenate([[0.0], np.square(samples, dtype=np.float64)]))
    return int(np.argmin(energy[window:] - energy[:-window])) + window // 2
