"""Our log-mel features as ESPnet's frontend."""

import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend

from asr_dro_plugin.features.log_mel_torch import BatchLogMel
from asr_dro_plugin.features.settings import LogMelSettings


class LogMelFrontend(AbsFrontend):
    """``features.log_mel``; see ``LogMelSettings`` for the arguments, which are its fields.

    The features are normalised here, per utterance: a YAML says ``normalize: none``.  Training
    adds dither.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mels: int = 64,
        n_fft: int = 512,
        win_length: int = 320,
        hop_length: int = 160,
        window: str = "hann",
        periodic_window: bool = False,
        center: bool = True,
        pad_mode: str = "constant",
        frame_count: str = "floor",
        preemphasis: float = 0.97,
        preemphasis_start: str = "keep",
        power: float = 2.0,
        f_min: float = 0.0,
        f_max: float | None = None,
        mel_scale: str = "slaney",
        mel_norm: str = "slaney",
        log: str = "add",
        log_guard: float = 5.960464477539063e-08,
        normalize: str = "per_feature",
        normalize_guard: float = 1e-5,
        dither: float = 1e-5,
    ) -> None:
        super().__init__()
        settings = LogMelSettings(
            sample_rate=sample_rate,
            n_mels=n_mels,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            window=window,
            periodic_window=periodic_window,
            center=center,
            pad_mode=pad_mode,
            frame_count=frame_count,
            preemphasis=preemphasis,
            preemphasis_start=preemphasis_start,
            power=power,
            f_min=f_min,
            f_max=f_max,
            mel_scale=mel_scale,
            mel_norm=mel_norm,
            log=log,
            log_guard=log_guard,
            normalize=normalize,
            normalize_guard=normalize_guard,
            dither=dither,
        )
        self.features = BatchLogMel(settings)

    @property
    def settings(self) -> LogMelSettings:
        """What an export needs to compute the same features."""
        return self.features.settings

    def output_size(self) -> int:
        """D."""
        return self.settings.n_mels

    def forward(
        self, input: torch.Tensor, input_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), (B,) -> (B, T, D), (B,)."""
        return self.features(input, input_lengths)
