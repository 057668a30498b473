"""Log-mel features of speech in numpy alone: the one feature object of training and serving.

The transform is computed in double precision: in single precision the leakage beside a loud tone,
which the logarithm brings up, would be rounding noise.

Shapes: N samples, T frames, D features, W samples of a window, L samples of a transform, F bins
of the spectrum.
"""

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features.mel import mel_filters, window_of
from asr_dro_plugin.features.settings import LogMelSettings

BLOCK = 128  # frames that are transformed at once: what fits the processor's cache


def filters_of(settings: LogMelSettings) -> np.ndarray:
    """(D, F) float64: the mel filters of the settings."""
    return mel_filters(
        settings.n_mels, settings.n_fft, settings.sample_rate, settings.f_min, settings.highest,
        settings.mel_scale, settings.mel_norm == "slaney",
    )  # fmt: skip


def window_for(settings: LogMelSettings) -> np.ndarray:
    """(W,) float64: the window of the settings."""
    return window_of(settings.window, settings.win_length, settings.periodic_window)


def transform_window(settings: LogMelSettings) -> np.ndarray:
    """(L,) float64: the window in the middle of a transform, zero on either side."""
    left = (settings.n_fft - settings.win_length) // 2
    return np.pad(window_for(settings), (left, settings.n_fft - settings.win_length - left))


class LogMel:
    """Log-mel features of one utterance.

    Args:
        settings: what to compute.
    """

    def __init__(self, settings: LogMelSettings | None = None) -> None:
        self.settings = settings or LogMelSettings()
        self._window = transform_window(self.settings)
        self._filters = filters_of(self.settings).T.astype(np.float32)

    def __call__(
        self,
        samples: np.ndarray,
        sample_rate: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Features of an utterance.

        Args:
            samples: (N,) in -1..1.
            sample_rate: of the samples, where it is known.
            rng: source of the dither; None, as in evaluation, for none.

        Returns:
            (T, D) float32, T = ``settings.num_frames(N)``.

        Raises:
            UserError: another sample rate, too few samples for a frame, several channels, or
                whole numbers, whose scale nobody knows.
        """
        if sample_rate is not None:
            self.settings.check_rate(sample_rate)
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise UserError(
                f"Log-mel takes samples of shape (N,) in -1..1, not {samples.dtype} of shape "
                f"{samples.shape}. Mix channels down; divide 16-bit samples by 32768."
            )
        frames = self._frames(samples.astype(np.float64, copy=False), rng)
        mel = np.empty((len(frames), self.settings.n_mels), dtype=np.float32)
        for start in range(0, len(frames), BLOCK):
            block = slice(start, start + BLOCK)
            mel[block] = self._mel(frames[block])
        return normalized(self._log(mel), self.settings)

    def _frames(self, samples: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """(T, L), a view into the padded signal."""
        settings = self.settings
        num_frames = settings.num_frames(len(samples))
        if num_frames < 1:
            raise UserError(
                f"{len(samples)} samples are too few for a log-mel frame: give at least "
                f"{settings.fewest_samples}."
            )
        if rng is not None and settings.dither:
            samples = samples + settings.dither * rng.standard_normal(len(samples))
        samples = padded(preemphasized(samples, settings), settings)
        windows = np.lib.stride_tricks.sliding_window_view(samples, settings.n_fft)
        return windows[:: settings.hop_length][:num_frames]

    def _mel(self, frames: np.ndarray) -> np.ndarray:
        """(T, L) -> (T, D)."""
        spectrum = np.fft.rfft(frames * self._window)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        if self.settings.power == 1:
            np.sqrt(power, out=power)
        return power.astype(np.float32) @ self._filters

    def _log(self, mel: np.ndarray) -> np.ndarray:
        guard = np.float32(self.settings.log_guard)
        match self.settings.log:
            case "add":
                return np.log(mel + guard)
            case "clamp":
                return np.log(np.maximum(mel, guard))
        return mel


def preemphasized(samples: np.ndarray, settings: LogMelSettings) -> np.ndarray:
    """x[n] - a x[n - 1]; (N,) -> (N,)."""
    if not settings.preemphasis:
        return samples
    out = np.empty_like(samples)
    np.multiply(samples[:-1], -settings.preemphasis, out=out[1:])
    out[1:] += samples[1:]
    out[0] = samples[0]
    if settings.preemphasis_start == "extrapolate":
        out[0] += 2 * samples[0] - samples[min(1, len(samples) - 1)]
    return out


def padded(samples: np.ndarray, settings: LogMelSettings) -> np.ndarray:
    """Half a transform of what ``pad_mode`` says on either side, where frames are centred."""
    if not settings.center:
        return samples
    return np.pad(samples, settings.n_fft // 2, mode=settings.pad_mode)


def normalized(features: np.ndarray, settings: LogMelSettings) -> np.ndarray:
    """Mean 0 and deviation 1 over the frames, (T, D) -> (T, D); a single number becomes 0."""
    if settings.normalize == "none":
        return features
    axis = 0 if settings.normalize == "per_feature" else None
    features = features - features.mean(axis=axis, dtype=np.float64)
    count = features.size if axis is None else len(features)
    deviation = np.sqrt(np.square(features).sum(axis=axis) / max(1, count - 1))
    return (features / (deviation + settings.normalize_guard)).astype(np.float32)
