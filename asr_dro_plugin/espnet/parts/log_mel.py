"""Our log-mel features as ESPnet's frontend."""

import inspect

import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend

from asr_dro_plugin.features.log_mel_torch import BatchLogMel
from asr_dro_plugin.features.settings import LogMelSettings


class LogMelFrontend(AbsFrontend):
    """``features.log_mel``; see ``LogMelSettings`` for the arguments, which are its fields.

    The features are normalised here, per utterance: a YAML says ``normalize: none``.  Training
    adds dither.
    """

    __signature__ = inspect.signature(LogMelSettings)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        self.features = BatchLogMel(LogMelSettings(*args, **kwargs))

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
