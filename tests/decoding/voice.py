"""A sound that is taken for speech: pulses of a voice through the resonances of changing vowels."""

import numpy as np

RATE = 16000
VOWELS = np.array(  # Hz of three formants (Peterson & Barney 1952: a, i, u, e, o)
    [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
)
SYLLABLE = 0.25  # seconds


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """(N,) float32 at 16 kHz: four syllables a second."""
    times = np.arange(round(seconds * RATE)) / RATE
    order = np.random.default_rng(seed).integers(len(VOWELS), size=len(times))
    formants = VOWELS[order[(times / SYLLABLE).astype(int)]].astype(float)
    smooth = np.full(801, 1 / 801)
    for column in formants.T:
        column[:] = np.convolve(np.pad(column, 400, mode="edge"), smooth, "valid")
    pitch = 120 + 15 * np.sin(2 * np.pi * 2.5 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    widths = np.array([60, 100, 140])
    sound = sum(
        (1 / (1 + ((n * pitch[:, None] - formants) / widths) ** 2)).sum(1) * np.sin(n * phase)
        for n in range(1, 35)
    )
    sound *= np.sqrt(np.abs(np.sin(np.pi * times / SYLLABLE)))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)
