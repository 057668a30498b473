"""Where a recording has no signal at all: muted, padded, or paused by a machine."""

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE

FAINT = 2.5 / 32768  # from the lowest to the highest sample: rounding to 16 bit and dither
WINDOW = SAMPLE_RATE // 100  # samples that are looked at together


def has_sound(samples: np.ndarray) -> bool:
    """Whether (N,) float samples in -1..1 are more than a constant and its rounding."""
    return bool(len(samples)) and not np.ptp(samples) <= FAINT


def silences(samples: np.ndarray, shortest: float) -> list[tuple[int, int]]:
    """(start, end) in samples of stretches without signal, of ``shortest`` seconds or more.

    Args:
        samples: (N,) at ``SAMPLE_RATE``.
        shortest: seconds.
    """
    whole = len(samples) // WINDOW
    rows = samples[: whole * WINDOW].reshape(whole, WINDOW)
    silent = [*(rows.max(axis=1) - rows.min(axis=1) <= FAINT)] if whole else []
    if rest := samples[whole * WINDOW :].size:
        silent.append(not has_sound(samples[-rest:]))
    edges = np.flatnonzero(np.diff(np.array(silent, np.int8), prepend=0, append=0))
    found = [(start * WINDOW, min(end * WINDOW, len(samples))) for start, end in
             edges.reshape(-1, 2).tolist()]  # fmt: skip
    return [(start, end) for start, end in found if end - start >= shortest * SAMPLE_RATE]
