"""Log-mel features as part of a graph: convolutions with sines and cosines instead of transforms.

Every number of samples and frames is a tensor here, so that tracing keeps it open; what lies beyond
an utterance's ends is that of the utterance, never of the batch.

Shapes: B utterances, N samples, T frames, D features, L samples of a transform, F bins.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from asr_dro_plugin.features.log_mel import filters_of, transform_window
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.features.whisper_mel import FLOOR, HOP, N_FFT, RANGE, WhisperLogMel
from asr_dro_plugin.nets.masks import frame_mask

Batch = tuple[torch.Tensor, torch.Tensor]


class PowerSpectrum(nn.Module):
    """(B, N) -> (B, F, T): |DFT|^2 of windows that begin every ``hop`` samples.

    Args:
        window: (L,).
        hop: samples.
    """

    def __init__(self, window: np.ndarray, hop: int) -> None:
        super().__init__()
        size, self.hop = len(window), hop
        angles = 2 * math.pi / size * np.outer(np.arange(size // 2 + 1), np.arange(size))
        kernels = np.concatenate([np.cos(angles), -np.sin(angles)]) * window
        self.register_buffer("kernels", torch.from_numpy(kernels).float()[:, None])

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        parts = F.conv1d(samples[:, None], self.kernels, stride=self.hop).square()
        num_bins = self.kernels.shape[0] // 2
        return parts[:, :num_bins] + parts[:, num_bins:]


class LogMelGraph(nn.Module):
    """What ``features.log_mel_torch.BatchLogMel`` computes in evaluation, in single precision."""

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.power = PowerSpectrum(transform_window(settings), settings.hop_length)
        self.register_buffer("filters", torch.from_numpy(filters_of(settings)).float())

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        """(B, N) zero behind each utterance, (B,) -> (B, T, D), (B,)."""
        settings = self.settings
        samples = self._emphasised(speech, lengths)
        half = settings.n_fft // 2 if settings.center else 0
        if half and settings.pad_mode == "reflect":
            samples = mirrored(samples, lengths, half)
        elif half:
            samples = F.pad(samples, (half, half))
        power = self.power(samples)
        power = power.sqrt() if settings.power == 1 else power
        most = settings.num_frames(speech.shape[1])  # transforms may be one more
        features = self._log(self.filters @ power[:, :, :most]).transpose(1, 2)
        frames = settings.num_frames(lengths)
        return self._normalized(features, mask_of(frames, features)[:, :, None]), frames

    def _emphasised(self, speech: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """x[n] - a x[n - 1], with zeros behind each utterance."""
        settings = self.settings
        if not settings.preemphasis:
            return speech
        before = torch.cat([torch.zeros_like(speech[:, :1]), speech[:, :-1]], dim=1)
        out = speech - settings.preemphasis * before
        if settings.preemphasis_start == "extrapolate":
            first = 2 * speech[:, :1] - speech[:, 1:2]
            out = torch.cat([out[:, :1] + first, out[:, 1:]], dim=1)
        return out * mask_of(lengths, speech)

    def _log(self, mel: torch.Tensor) -> torch.Tensor:
        guard = self.settings.log_guard
        match self.settings.log:
            case "add":
                return (mel + guard).log()
            case "clamp":
                return mel.clamp(min=guard).log()
        return mel

    def _normalized(self, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, T, D) with mean 0 and deviation 1 over the frames of ``mask`` (B, T, 1)."""
        features = features * mask
        if self.settings.normalize == "none":
            return features
        over = (1,) if self.settings.normalize == "per_feature" else (1, 2)
        count = mask.sum(dim=1, keepdim=True)
        if self.settings.normalize == "all_features":
            count = count * features.shape[2]
        centred = (features - features.sum(dim=over, keepdim=True) / count) * mask
        variance = centred.square().sum(dim=over, keepdim=True) / (count - 1).clamp(min=1)
        return centred / (variance.sqrt() + self.settings.normalize_guard)


class EspnetLogMelGraph(nn.Module):
    """ESPnet's frontend ``default`` with ends mirrored by utterance, as ``PreparedDefaultFrontend``
    has it; without speech enhancement.

    Args:
        frontend: one that ``fits``.
    """

    def __init__(self, frontend: nn.Module) -> None:
        super().__init__()
        stft, mel = frontend.stft, frontend.logmel
        shape = getattr(torch, f"{stft.window}_window") if stft.window else torch.ones
        window = shape(stft.win_length, dtype=torch.float64)
        left = (stft.n_fft - stft.win_length) // 2
        padded = F.pad(window, (left, stft.n_fft - stft.win_length - left))
        self.power = PowerSpectrum(padded.numpy(), stft.hop_length)
        self.register_buffer("filters", mel.melmat.T.clone())
        self.size, self.hop, self.center = stft.n_fft, stft.hop_length, stft.center
        self.scale = 1.0 if mel.log_base is None else 1 / math.log(mel.log_base)

    @staticmethod
    def fits(frontend: nn.Module) -> bool:
        """Whether it computes what is here."""
        stft = frontend.stft
        plain = stft is not None and stft.onesided and not stft.normalized
        enhances = frontend.frontend is not None and (
            frontend.frontend.use_wpe or frontend.frontend.use_beamformer
        )
        return plain and not enhances

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        """(B, N) zero behind each utterance, (B,) -> (B, T, D), (B,)."""
        half = self.size // 2 if self.center else 0
        samples = mirrored(speech, lengths, half) if half else speech
        mel = (self.filters @ self.power(samples)).clamp(min=1e-10)
        features = mel.log().transpose(1, 2) * self.scale
        frames = (lengths + 2 * half - self.size) // self.hop + 1
        return features * mask_of(frames, features)[:, :, None], frames


class WhisperLogMelGraph(nn.Module):
    """What ``features.whisper_mel.WhisperLogMel`` computes."""

    def __init__(self, features: WhisperLogMel) -> None:
        super().__init__()
        self.max_frames, self.do_pad_trim = features.max_frames, features.do_pad_trim
        self.power = PowerSpectrum(features.window.double().numpy(), HOP)
        self.register_buffer("filters", features.filters.clone())

    def forward(self, speech: torch.Tensor, lengths: torch.Tensor) -> Batch:
        """(B, N) zero behind each utterance, (B,) -> (B, T, M), (B,)."""
        half, num_samples = N_FFT // 2, speech.shape[1]
        if self.do_pad_trim:
            silence = speech.new_zeros(1, self.max_frames * HOP).expand(speech.shape[0], -1)
            speech = torch.cat([speech, silence], dim=1)[:, : self.max_frames * HOP]
            behind = speech[:, -half - 1 : -1].flip(1)
        else:
            behind = speech.new_zeros(1, N_FFT).expand(speech.shape[0], -1)
        front = F.pad(speech, (0, half))[:, 1 : half + 1].flip(1)  # there may be fewer samples
        log_mel = self.filters @ self.power(torch.cat([front, speech, behind], dim=1))
        log_mel = log_mel.clamp(min=FLOOR).log10().transpose(1, 2)
        if self.do_pad_trim:
            log_mel, heard = log_mel[:, : self.max_frames], 0 * lengths + self.max_frames
            loudest = log_mel.amax(dim=(1, 2), keepdim=True)
        else:
            heard = (lengths // HOP).clamp(min=1)
            log_mel = log_mel[:, : (num_samples + HOP - 1) // HOP]
            outside = ~mask_of(heard, log_mel)[:, :, None]
            loudest = log_mel.masked_fill(outside, -1e9).amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(log_mel, loudest - RANGE) + 4.0) / 4.0, heard


def mask_of(lengths: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B,), (B, T, ...) -> (B, T) of bool: what belongs to each utterance."""
    return frame_mask(lengths, x.shape[1])[:, 0]


def mirrored(samples: torch.Tensor, lengths: torch.Tensor, half: int) -> torch.Tensor:
    """(B, N) with ``half`` samples of its mirror image at each utterance's ends, zeros where it is
    too short for so many, and behind them.

    Only the ends are looked up: all N of them take a twentieth of a small model's time.
    """
    last, step = lengths[:, None] - 1, torch.arange(half, device=samples.device) + 1

    def image(place: torch.Tensor) -> torch.Tensor:
        index = last - (last - place).abs()
        return samples.gather(1, index.clamp(min=0)) * (index >= 0)

    front = image(step.flip(0) + 0 * last)
    padded = torch.cat([front, samples, torch.zeros_like(front)], dim=1)
    return padded.scatter(1, half + last + step, image(last + step))
