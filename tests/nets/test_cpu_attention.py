"""Attention by oneDNN: torch's numbers, and torch's own where that is faster or trained."""

import pytest
import torch
import torch.nn.functional as F

from asr_dro_plugin.nets import cpu_attention
from asr_dro_plugin.nets.cpu_attention import BLOCK, MANY, attention


def given(num_queries, num_keys=70, batch=2):
    """Queries, keys and values of 3 heads as layers make them: seen through a transpose."""
    torch.manual_seed(0)
    sizes = (num_queries, num_keys, num_keys)
    return [torch.randn(batch, size, 3, 16).transpose(1, 2) for size in sizes]


@torch.no_grad()
@pytest.mark.parametrize("num_queries", [1, MANY - 1, MANY, BLOCK + 1, 2 * BLOCK])
def test_numbers_are_torchs(num_queries):
    q, k, v = given(num_queries)
    found = attention(q, k, v)
    assert found.shape == q.shape
    assert torch.allclose(found, F.scaled_dot_product_attention(q, k, v), atol=1e-5)


def test_gradients_come_from_torchs_own(monkeypatch):
    monkeypatch.setattr(cpu_attention, "product", None)
    q, k, v = (x.requires_grad_() for x in given(MANY))
    attention(q, k, v).sum().backward()
    assert v.grad.abs().sum() > 0


@torch.no_grad()
def test_other_types_are_torchs_own():
    q, k, v = (x.double() for x in given(MANY))
    assert attention(q, k, v).dtype == torch.float64
