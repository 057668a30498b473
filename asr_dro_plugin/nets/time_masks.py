"""Random spans to mask, drawn on the device and without a look at it (SpecAugment, Park et al.
2019, as wav2vec 2.0 and transformers draw them)."""

import torch


def mask_spans(
    lengths: torch.Tensor, max_length: int, prob: float, span: int, min_spans: int = 0
) -> torch.Tensor:
    """(B, T) of bool, true where a span of ``span`` lies; spans may overlap.

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
