"""Spans to mask: whole, within an utterance, as many as asked for, none where none fits."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.nets.masks import mask_spans


def runs(row):
    """Lengths of the runs of true in a row."""
    padded = [0, *row.int().tolist(), 0]
    starts = [i for i in range(len(padded) - 1) if (padded[i], padded[i + 1]) == (0, 1)]
    ends = [i for i in range(len(padded) - 1) if (padded[i], padded[i + 1]) == (1, 0)]
    return [end - start for start, end in zip(starts, ends, strict=True)]


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5), prob=st.floats(0, 1),
    span=st.integers(1, 12), min_spans=st.integers(0, 3), seed=st.integers(0, 999),
)  # fmt: skip
def test_spans_are_whole_and_end_with_the_utterance(lengths, prob, span, min_spans, seed):
    torch.manual_seed(seed)
    lengths = torch.tensor(lengths)
    longest = int(lengths.max())
    mask = mask_spans(lengths, longest, prob, span, min_spans)
    assert mask.shape == (len(lengths), longest)
    for row, length in zip(mask, lengths.tolist(), strict=True):
        assert not row[length:].any()
        assert all(run >= span for run in runs(row))
        if length < span:
            assert not row.any()
        elif min_spans:
            assert row.any()


def test_about_the_share_that_was_asked_for_is_masked():
    """transformers draws the same way; spans overlap, so that less than the share is covered."""
    import pytest

    modeling = pytest.importorskip("transformers.models.wav2vec2.modeling_wav2vec2")
    import numpy as np

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  # transformers draws from it
    lengths = torch.tensor([300, 200])
    shares, theirs = torch.zeros(2), torch.zeros(2)
    inside = torch.arange(300) < lengths[:, None]
    for _ in range(200):
        shares += mask_spans(lengths, 300, 0.3, 10).float().sum(1) / lengths / 200
        drawn = modeling._compute_mask_indices((2, 300), 0.3, 10, attention_mask=inside)
        theirs += torch.as_tensor(drawn).float().sum(1) / lengths / 200
    assert (shares - theirs).abs().max() < 0.01
    assert shares.min() > 0.2 and shares.max() < 0.3


def test_a_batch_shorter_than_a_span_is_left_alone():
    assert not mask_spans(torch.tensor([3, 2]), 3, 0.9, 10, min_spans=2).any()


def test_the_same_seed_gives_the_same_spans():
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(mask_spans(torch.tensor([80, 50]), 80, 0.3, 10))
    assert torch.equal(*drawn)
