"""Whisper's log-mel spectrogram of a batch of waveforms, on their device.

The same numbers as transformers' ``WhisperFeatureExtractor``: windows of 25 ms every 10 ms,
Slaney's mel filters, a logarithm whose floor lies 8 below the utterance's own maximum, and
(x + 4) / 4.

Shapes: B utterances, N samples, M mel channels, T frames.
"""

import math

import torch
import torch.nn.functional as F

from asr_dro_plugin.features import SAMPLE_RATE
from asr_dro_plugin.features.mel import mel_filters

N_FFT, HOP = 400, 160
FLOOR = 1e-10  # power
RANGE = 8.0  # decades (of power) below the loudest point that are told apart


class WhisperLogMel(torch.nn.Module):
    """Waveforms to log-mel frames.

    Args:
        num_mel_bins: M, 80 or (large-v3) 128.
        max_frames: T at most, 3000 for 30 s.
        do_pad_trim: pad or cut every utterance to ``max_frames``, as Whisper was trained; else only
            to the longest of the batch, and each is as long as it is.
    """

    def __init__(
        self, num_mel_bins: int = 80, max_frames: int = 3000, do_pad_trim: bool = True
    ) -> None:
        super().__init__()
        self.max_frames, self.do_pad_trim = max_frames, do_pad_trim
        most = SAMPLE_RATE / 2
        filters = mel_filters(num_mel_bins, N_FFT, SAMPLE_RATE, 0.0, most, "slaney", True)
        # Not among the model's weights: they follow from the sizes.
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), False)
        self.register_buffer("window", torch.hann_window(N_FFT), False)

    def forward(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) in -1..1, (B,) samples -> (B, T, M), (B,) frames; in float32 whatever the model is
        in, for half precision has no room for eight decades.

        Raises:
            ValueError: without ``do_pad_trim``, a batch longer than ``max_frames``.
        """
        most = self.max_frames * HOP
        if not self.do_pad_trim and speech.shape[1] > most:
            seconds = [samples / SAMPLE_RATE for samples in (speech.shape[1], most)]
            raise ValueError("{:g} s of speech, and Whisper takes {:g} s".format(*seconds))
        size = most if self.do_pad_trim else max(-(-speech.shape[1] // HOP) * HOP, N_FFT)
        with torch.autocast(speech.device.type, enabled=False):
            power = self._power(self._fitted(speech, lengths, size))
            log_mel = (power @ self.filters.T).clamp(min=FLOOR).log10()
        if self.do_pad_trim:
            lengths = lengths.new_full(lengths.shape, self.max_frames)
            loudest = log_mel.amax(dim=(1, 2), keepdim=True)
        else:
            lengths = (lengths // HOP).clamp(min=1)
            log_mel = log_mel[:, : max(speech.shape[1] // HOP, 1)]
            beyond = _beyond(lengths, log_mel.shape[1])[:, :, None]
            loudest = log_mel.masked_fill(beyond, -math.inf).amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(log_mel, loudest - RANGE) + 4.0) / 4.0, lengths

    @staticmethod
    def _fitted(speech: torch.Tensor, lengths: torch.Tensor, size: int) -> torch.Tensor:
        """(B, size) with silence behind each utterance."""
        speech = F.pad(speech, (0, size - speech.shape[1]))  # cuts where that is negative
        return speech.masked_fill(_beyond(lengths, size), 0.0)

    def _power(self, speech: torch.Tensor) -> torch.Tensor:
        """(B, T, N_FFT / 2 + 1) of samples (B, N): centred windows, the one at the end left out.

        In front the signal is mirrored.  At the end too where 30 s are cut out, as in the original;
        else silence follows, so that an utterance does not depend on the batch's length.
        """
        half = N_FFT // 2
        front = speech[:, 1 : half + 1].flip(1)
        back = speech[:, -half - 1 : -1].flip(1)
        back = back if self.do_pad_trim else torch.zeros_like(back)
        padded = torch.cat([front, speech, back], dim=1)
        spectrum = torch.stft(
            padded.float(), N_FFT, HOP, window=self.window, center=False, return_complex=True
        )
        return spectrum[..., :-1].abs().square().transpose(1, 2)


def _beyond(lengths: torch.Tensor, size: int) -> torch.Tensor:
    """(B, size), true behind the end of each row."""
    return torch.arange(size, device=lengths.device) >= lengths[:, None]
