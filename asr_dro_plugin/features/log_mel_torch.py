"""The features of ``log_mel`` in torch, for batches in training and decoding.

What lies beyond an utterance's ends is that of the utterance, never of the batch.

Shapes: B utterances, N samples, T frames, D features, L samples of a transform, F bins.
"""

import torch

from asr_dro_plugin.features.log_mel import BLOCK, LogMelSettings, filters_of, transform_window


class BatchLogMel(torch.nn.Module):
    """Log-mel features of a batch; no parameters, no gradient.

    A CPU takes one utterance after the other: it computes no padding, and an utterance's features
    are the same to the last bit in any company.  Other devices take the batch at once.

    Args:
        settings: what to compute.
    """

    def __init__(self, settings: LogMelSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or LogMelSettings()
        # no buffers: a model that is cast to half precision must not take them along
        self._tables = {
            torch.device("cpu"): (
                torch.from_numpy(transform_window(self.settings)),
                torch.from_numpy(filters_of(self.settings).T).float(),
            )
        }

    def extra_repr(self) -> str:
        """The settings, where the module is printed."""
        return str(self.settings)

    @torch.no_grad()
    def forward(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of a batch; with dither in training mode.

        Args:
            speech: (B, N) in -1..1.
            lengths: (B,) samples of each.

        Returns:
            (B, T, D) float32, zero behind each utterance, and its frames (B,), which are 0 where
            it has fewer than ``settings.fewest_samples``.
        """
        with torch.autocast(speech.device.type, enabled=False):
            if speech.device.type == "cpu":
                lines = zip(speech.split(1), lengths.tolist(), strict=True)
                rows = [self._features(line[:, :length], None)[0] for line, length in lines]
                features = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            else:
                features = self._features(speech, lengths)
        return features, self.settings.num_frames(lengths)

    def _features(self, speech: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """(B, N), (B,) -> (B, T, D); without lengths, all are N."""
        if lengths is None:
            num_frames, mask = self.settings.num_frames(speech.shape[1]), None
        else:
            each = self.settings.num_frames(lengths)
            num_frames = int(each.max())
            mask = _mask(each, num_frames)[:, :, None]
        frames = self._frames(self._padded(speech, lengths), num_frames)
        block = BLOCK if mask is None else max(1, num_frames)
        mel = torch.cat([self._mel(part) for part in frames.split(block, dim=1)], dim=1)
        return _normalized(self._log(mel), mask, self.settings)

    def _padded(self, speech: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """Pre-emphasised, and with half a transform on either side where frames are centred.

        (B, N) -> (B, N) or (B, N + n_fft), float64; what lies behind an utterance is zero, or its
        mirror image.
        """
        settings = self.settings
        half = settings.n_fft // 2 if settings.center else 0
        samples = speech.double()
        if self.training and settings.dither:
            samples = samples + settings.dither * torch.randn_like(samples)
        out = samples.new_zeros(len(samples), samples.shape[1] + 2 * half)
        inner = out[:, half : half + samples.shape[1]]
        inner.copy_(samples)
        if settings.preemphasis:
            torch.sub(samples[:, 1:], samples[:, :-1], alpha=settings.preemphasis, out=inner[:, 1:])
            if settings.preemphasis_start == "extrapolate":
                inner[:, :1] += 2 * samples[:, :1] - samples[:, 1:2]
        if lengths is not None:
            inner.masked_fill_(~_mask(lengths, samples.shape[1]), 0.0)
        if half and settings.pad_mode == "reflect":
            return _mirrored(inner, lengths, half)
        return out

    def _frames(self, samples: torch.Tensor, num_frames: int) -> torch.Tensor:
        """(B, T, L), a view into the padded signals."""
        size, hop = self.settings.n_fft, self.settings.hop_length
        if num_frames < 1:
            return samples.new_zeros(len(samples), 0, size)
        return samples.unfold(1, size, hop)[:, :num_frames]

    def _mel(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, T, L) -> (B, T, D)."""
        window, filters = self._tables_on(frames.device)
        spectrum = torch.fft.rfft(frames * window)
        squares = torch.view_as_real(spectrum).square_()
        power = squares[..., 0] + squares[..., 1]
        if self.settings.power == 1:
            power = power.sqrt_()
        return power.float() @ filters

    def _tables_on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        if device not in self._tables:
            tables = self._tables[torch.device("cpu")]
            self._tables[device] = tuple(table.to(device) for table in tables)
        return self._tables[device]

    def _log(self, mel: torch.Tensor) -> torch.Tensor:
        guard = self.settings.log_guard
        match self.settings.log:
            case "add":
                return mel.add_(guard).log_()
            case "clamp":
                return mel.clamp_(min=guard).log_()
        return mel


def _mask(lengths: torch.Tensor, size: int) -> torch.Tensor:
    """(B, size) of bool: what belongs to each utterance."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def _mirrored(samples: torch.Tensor, lengths: torch.Tensor | None, half: int) -> torch.Tensor:
    """(B, N) with ``half`` samples of its mirror image at each utterance's ends."""
    size = samples.shape[1]
    last = size - 1 if lengths is None else (lengths - 1).clamp(min=0)[:, None]
    index = torch.arange(-half, size + half, device=samples.device).abs()
    index = (last - (index - last).abs()).clamp(min=0)
    return samples.gather(1, index.expand(len(samples), -1))


def _normalized(
    features: torch.Tensor, mask: torch.Tensor | None, settings: LogMelSettings
) -> torch.Tensor:
    """Mean 0 and deviation 1 over the valid frames, (B, T, D); others become 0.

    Args:
        features: (B, T, D).
        mask: (B, T, 1), true for a valid frame; None where all are.
    """
    if settings.normalize == "none":
        return _zeroed(features, mask)
    over = (1,) if settings.normalize == "per_feature" else (1, 2)
    count = features.shape[1] if mask is None else mask.sum(dim=1, keepdim=True)
    if settings.normalize == "all_features":
        count = count * features.shape[2]
    others = max(1, count - 1) if mask is None else (count - 1).clamp(min=1)
    features = _zeroed(features, mask).double()
    centred = _zeroed(features - features.sum(dim=over, keepdim=True) / count, mask)
    deviation = (centred.square().sum(dim=over, keepdim=True) / others).sqrt()
    return (centred / (deviation + settings.normalize_guard)).float()


def _zeroed(features: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return features if mask is None else features.masked_fill(~mask, 0.0)
