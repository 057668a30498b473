"""Log-mel frontends: ours, and ESPnet's with windows that see each utterance alone."""

import copy
import inspect

import torch
import torch.nn.functional as F
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.asr.frontend.default import DefaultFrontend
from torch_complex.tensor import ComplexTensor

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

    def output_size(self) -> int:
        """D."""
        return self.features.settings.n_mels

    def forward(
        self, input: torch.Tensor, input_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), (B,) -> (B, T, D), (B,)."""
        return self.features(input, input_lengths)


class PreparedDefaultFrontend(DefaultFrontend):
    """``DefaultFrontend`` that mirrors each utterance at its own ends.

    ESPnet's STFT mirrors the signal where the *batch* ends: the last frames of a shorter utterance
    (and through the mean over its frames all others) depend on its company, and so would the dev
    CER of a training on how its batches were made.  Here an utterance alone gets exactly ESPnet's
    features, and the same in any batch.
    """

    def _compute_stft(self, input: torch.Tensor, input_lengths: torch.Tensor):
        """Spectra (B, T, F) and their frames (B,) of speech (B, N).

        ESPnet's private method, so that of all its forward pass only the STFT's input changes.
        """
        half = self.stft.n_fft // 2
        # What is too short for every one is left to torch, which refuses it.
        if not self.stft.center or input.dim() != 2 or input.shape[1] <= half:
            return super()._compute_stft(input, input_lengths)
        stft = copy.copy(self.stft)  # settings without parameters; a model may be several threads'
        stft.center = False
        mirrored = with_mirrored_ends(input, input_lengths, half)
        spectrum, frames = stft(mirrored, input_lengths + 2 * half)
        return ComplexTensor(spectrum[..., 0], spectrum[..., 1]), frames


def with_mirrored_ends(speech: torch.Tensor, lengths: torch.Tensor, half: int) -> torch.Tensor:
    """(B, N), (B,) -> (B, N + 2 half): ``half`` samples of its mirror image at each end of each.

    There are zeros where an utterance is too short to be mirrored so far.
    """

    def at(index: torch.Tensor) -> torch.Tensor:
        return speech.gather(1, index.clamp(min=0)).masked_fill(index < 0, 0.0)

    lengths = lengths.to(speech.device)[:, None]
    last, steps = lengths - 1, torch.arange(1, half + 1, device=speech.device)
    out = F.pad(speech, (half, half))
    out[:, :half] = at(last - (last - steps.flip(0)).abs())
    return out.scatter(1, lengths + half - 1 + steps, at(last - steps))
