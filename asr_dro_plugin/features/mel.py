"""Triangular mel filters and the windows before them, from their formulas.

Shapes: F bins of the spectrum (n_fft / 2 + 1), D filters, W samples of a window.
"""

import numpy as np

# Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, 15 mel; then 27 mel for each factor 6.4.
BREAK_HZ, HZ_A_MEL, STEP = 1000.0, 200.0 / 3, np.log(6.4) / 27
BREAK_MEL = BREAK_HZ / HZ_A_MEL

# Coefficients of the cosines of each window, alternating in sign (Harris 1978).
COSINES = {
    "hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "ones": (1.0,),
}  # fmt: skip


def hz_to_mel(hz: float, scale: str) -> float:
    """Hertz on a mel scale."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    return hz / HZ_A_MEL if hz < BREAK_HZ else BREAK_MEL + np.log(hz / BREAK_HZ) / STEP


def mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """The inverse of ``hz_to_mel``."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = BREAK_HZ * np.exp(STEP * np.maximum(mel - BREAK_MEL, 0.0))
    return np.where(mel < BREAK_MEL, mel * HZ_A_MEL, above)


def mel_filters(
    n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float, scale: str, area: bool
) -> np.ndarray:
    """(D, F) float64: triangles in Hz between points equally far apart on the mel scale.

    Args:
        area: divide each by half its width in Hz, so that all have the same area ("slaney").
    """
    ends = hz_to_mel(f_min, scale), hz_to_mel(f_max, scale)
    points = mel_to_hz(np.linspace(*ends, n_mels + 2), scale)[:, None]
    low, centre, high = points[:-2], points[1:-1], points[2:]
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return filters * (2.0 / (high - low)) if area else filters


def window_of(name: str, length: int, periodic: bool) -> np.ndarray:
    """(W,) float64; symmetric, or with a period of W samples."""
    steps = np.arange(length) / max(1, length if periodic else length - 1)
    if name == "bartlett":
        return 1.0 - np.abs(2.0 * steps - 1.0)
    terms = enumerate(COSINES[name])
    return sum((-1) ** k * a * np.cos(2 * np.pi * k * steps) for k, a in terms)
