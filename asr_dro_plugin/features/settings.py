"""Everything that decides what a log-mel feature is: one object for training, export and serving.

It goes into the model's files as a plain dictionary, so that who serves a model computes what it
was trained on.  The defaults are those of NeMo's ``AudioToMelSpectrogramPreprocessor`` as QuartzNet
uses it (Kriman et al. 2020, arXiv:1910.10261).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from asr_dro_plugin.base.settings import check_kind, check_number, check_word, kind_of, kinds_of
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.features import SAMPLE_RATE
from asr_dro_plugin.features.nemo_settings import settings_from_nemo

LEGAL = {
    "window": ("hann", "hamming", "blackman", "bartlett", "ones"),
    "pad_mode": ("constant", "reflect"),
    "frame_count": ("floor", "ceil", "all"),
    "preemphasis_start": ("keep", "extrapolate"),
    "mel_scale": ("slaney", "htk"),
    "mel_norm": ("slaney", "none"),
    "log": ("add", "clamp", "none"),
    "normalize": ("per_feature", "all_features", "none"),
    "power": (1.0, 2.0),
}
LEAST = {
    **dict.fromkeys(("sample_rate", "n_mels", "win_length", "hop_length"), 1),
    **dict.fromkeys(("f_min", "preemphasis", "log_guard", "normalize_guard", "dither"), 0),
}


@dataclass(frozen=True)
class LogMelSettings:
    """Settings of log-mel features.

    Args:
        sample_rate: of the audio, in Hz; no other is accepted.
        n_mels: D, features of a frame.
        n_fft: samples of a Fourier transform; the window lies in its middle.
        win_length, hop_length: samples of a window, and from one frame to the next.
        window: its form; ``periodic_window`` as torch's ``hann_window`` means it.
        center: frame t lies around sample t * hop_length, not behind it.
        pad_mode: what lies beyond either end where ``center``: zeros, or the mirrored signal.
        frame_count: valid frames of n samples: floor(n / hop), ceil(n / hop), or all that the
            transform has, floor(n / hop) + 1 where ``center``.
        preemphasis: a of x[n] - a x[n - 1]; 0 is none.
        preemphasis_start: the first sample is kept, or x[-1] is such that librosa's
            ``preemphasis`` results, which adds 2 x[0] - x[1] to it.
        power: of the magnitude: 1 or 2.
        f_min, f_max: ends of the filters in Hz; None is half the sample rate.
        mel_scale, mel_norm: of the filters; ``slaney`` normalises their area.
        log: log(x + guard), log(max(x, guard)), or x itself.
        log_guard: guard of the logarithm.
        normalize: each feature, or all together, to mean 0 and (unbiased) deviation 1 over the
            valid frames of an utterance.
        normalize_guard: added to the deviation.
        dither: deviation of the noise that is added to the samples in training.

    Raises:
        UserError: a value that is not legal.
    """

    sample_rate: int = SAMPLE_RATE
    n_mels: int = 64
    n_fft: int = 512
    win_length: int = 320
    hop_length: int = 160
    window: str = "hann"
    periodic_window: bool = False
    center: bool = True
    pad_mode: str = "constant"
    frame_count: str = "floor"
    preemphasis: float = 0.97
    preemphasis_start: str = "keep"
    power: float = 2.0
    f_min: float = 0.0
    f_max: float | None = None
    mel_scale: str = "slaney"
    mel_norm: str = "slaney"
    log: str = "add"
    log_guard: float = 2.0**-24
    normalize: str = "per_feature"
    normalize_guard: float = 1e-5
    dither: float = 1e-5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, place = getattr(self, field.name), f"log-mel {field.name}"
            check_kind(place, value, kinds_of(field.type))
            if kind_of(value) in ("int", "float"):
                check_number(place, value, least=LEAST.get(field.name))
            if field.name in LEGAL:
                check_word(place, value, LEGAL[field.name])
        for problem in self._misfits():
            raise UserError(f"log-mel {problem}.")

    def _misfits(self):
        """Numbers that do not go together, in words."""
        if self.n_fft < self.win_length or self.n_fft % 2:
            yield (
                f"n_fft is {self.n_fft}; it must be even and at least win_length, {self.win_length}"
            )
        if not self.f_min < self.highest <= self.sample_rate / 2:
            yield (
                f"filters reach from {self.f_min:g} to {self.highest:g} Hz; f_max must be above "
                f"f_min and at most half the sample rate, {self.sample_rate / 2:g}"
            )
        if not self.center and self.frame_count != "all":
            yield f"frame_count is {self.frame_count}; without center it must be all"

    @property
    def highest(self) -> float:
        """Upper end of the filters in Hz."""
        return self.sample_rate / 2 if self.f_max is None else self.f_max

    @property
    def fewest_samples(self) -> int:
        """Samples that the shortest utterance with a frame must have."""
        if not self.center:
            return self.n_fft
        counted = self.hop_length if self.frame_count == "floor" else 1
        return max(self.n_fft // 2 + 1, counted) if self.pad_mode == "reflect" else counted

    def num_frames(self, num_samples):
        """Valid frames of ``num_samples``: ints, numpy arrays and tensors alike; never negative."""
        enough = num_samples >= self.fewest_samples
        return self._counted(num_samples) * enough

    def _counted(self, num_samples):
        if not self.center:
            return (num_samples - self.n_fft) // self.hop_length + 1
        if self.frame_count == "ceil":
            return (num_samples + self.hop_length - 1) // self.hop_length
        return num_samples // self.hop_length + int(self.frame_count == "all")

    def check_rate(self, sample_rate: int, name: str = "The audio") -> None:
        """Refuse audio of another rate.

        Raises:
            UserError: names the audio and both rates.
        """
        if sample_rate != self.sample_rate:
            raise UserError(
                f"{name} has {sample_rate} samples a second, but these features are of "
                f"{self.sample_rate}. Resample it to {self.sample_rate} Hz first."
            )

    def to_dict(self) -> dict:
        """Plain values, for a model's files."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping) -> "LogMelSettings":
        """What ``to_dict`` wrote.

        Raises:
            UserError: a name that is no setting, or a value that is not legal.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                raise UserError(f"log-mel has no setting '{name}'.{suggestion(str(name), known)}")
        return cls(**settings)

    @classmethod
    def from_nemo(cls, preprocessor: Mapping) -> "LogMelSettings":
        """From the ``preprocessor`` of a NeMo model's YAML, by what NeMo does today.

        Old releases mirrored the signal at its ends and counted one frame more; whoever knows
        their model to be one says ``dataclasses.replace(settings, pad_mode="reflect")``.

        Raises:
            UserError: another kind of preprocessor, or a setting that we do not compute.
        """
        try:
            return cls(**settings_from_nemo(preprocessor))
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"preprocessor holds a value that is no setting: {error}.") from None
