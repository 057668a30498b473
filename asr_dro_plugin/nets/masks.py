"""Masks over padded frames, lengths behind strides, and random spans of SpecAugment."""

import torch


def frame_mask(lengths: torch.Tensor, max_length: int) -> torch.Tensor:
    """(B, 1, T) of bool: true where a frame belongs to its utterance.

    Args:
        lengths: (B,) valid frames of each utterance.
        max_length: T.
    """
    frames = torch.arange(max_length, device=lengths.device)
    return (frames < lengths[:, None]).unsqueeze(1)


def moments(
    speech: torch.Tensor, lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B, N), (B,) -> each utterance with zeros behind it, the same less its mean, and the variance
    (B, 1) over its samples."""
    outside = ~frame_mask(lengths.to(speech.device), speech.shape[1])[:, 0]
    num_samples = lengths[:, None].to(speech)
    speech = speech.masked_fill(outside, 0.0)
    centred = (speech - speech.sum(1, keepdim=True) / num_samples).masked_fill(outside, 0.0)
    return speech, centred, centred.square().sum(1, keepdim=True) / num_samples


def strided_length(length, stride: int):
    """Frames after a 'same'-padded convolution of ``stride``: ceil(length / stride).

    Works on ints, numpy arrays and tensors alike.
    """
    return (length + stride - 1) // stride


def masked_spans(
    x: torch.Tensor, lengths: torch.Tensor, config, fill: torch.Tensor | None = None
) -> torch.Tensor:
    """(B, T, D) with spans over time and over features masked, as ``config`` says.

    Args:
        x: features.
        lengths: (B,) valid frames.
        config: ``mask_time_prob``, ``mask_time_length``, ``mask_time_min_masks`` and the same of
            ``mask_feature``, as transformers names them.
        fill: (D,) what stands at a masked frame; None is zero, as for features.
    """
    if config.mask_time_prob > 0:
        spans = mask_spans(
            lengths, x.shape[1], config.mask_time_prob, config.mask_time_length,
            config.mask_time_min_masks,
        )[..., None]  # fmt: skip
        x = x.masked_fill(spans, 0.0) if fill is None else torch.where(spans, fill.to(x.dtype), x)
    if config.mask_feature_prob > 0:
        sizes = torch.full_like(lengths, x.shape[2])
        spans = mask_spans(
            sizes, x.shape[2], config.mask_feature_prob, config.mask_feature_length,
            config.mask_feature_min_masks,
        )  # fmt: skip
        x = x.masked_fill(spans[:, None], 0.0)
    return x


def mask_spans(
    lengths: torch.Tensor, max_length: int, prob: float, span: int, min_spans: int = 0
) -> torch.Tensor:
    """(B, T) of bool, true where a span of ``span`` lies; spans may overlap.

    Drawn on the device and without a look at it (SpecAugment, Park et al. 2019, as wav2vec 2.0 and
    transformers draw them).

    Args:
        lengths: (B,) valid positions of each row; no span reaches beyond them.
        max_length: T.
        prob: share of the positions that the spans of a row would cover side by side.
        min_spans: at least so many in each row that is long enough.

    A row shorter than a span has none.
    """
    num_starts = max_length - span + 1
    if num_starts < 1:
        return torch.zeros(len(lengths), max_length, dtype=torch.bool, device=lengths.device)
    rounding = torch.rand((), device=lengths.device)
    counts = (prob * lengths / span + rounding).long().clamp(min=min_spans)
    counts = torch.minimum(counts, torch.full_like(counts, max_length // span))
    counts = torch.minimum(counts, (lengths - span + 1).clamp(min=0))
    most = min(max(int(prob * max_length / span + 1), min_spans, 1), num_starts)
    scores = torch.rand(len(lengths), num_starts, device=lengths.device)
    outside = torch.arange(num_starts, device=lengths.device) > (lengths - span)[:, None]
    starts = scores.masked_fill_(outside, -1.0).topk(most, dim=1).indices  # distinct, at random
    kept = torch.arange(most, device=lengths.device) < counts[:, None]
    marks = torch.zeros(len(lengths), max_length + span, dtype=torch.int32, device=lengths.device)
    marks.scatter_add_(1, starts, kept.int())
    marks.scatter_add_(1, starts + span, -kept.int())
    return marks.cumsum(1)[:, :max_length] > 0
