"""Attention over many frames on a CPU where no gradient is wanted, by oneDNN.

torch's ``scaled_dot_product_attention`` multiplies with MKL there, as its linear layers do (see
``cpu_linear``).  The queries are taken in blocks, so that their weights stay in the cache.

Shapes: B utterances, N heads, T queries, S keys, D channels of a head.
"""

import math

import torch
import torch.nn.functional as F

from asr_dro_plugin.nets.cpu_linear import fits, product

BLOCK = 512  # queries whose weights are in memory at once
MANY = 256  # fewer queries are no faster


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Softmax(q k' / sqrt D) v of (B, N, T, D), (B, N, S, D), (B, N, S, D): (B, N, T, D), every
    query seeing every key."""
    wants_gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    if not fits(q, k) or q.shape[2] < MANY or wants_gradient:
        return F.scaled_dot_product_attention(q, k, v)
    scaled, keys, values = q / math.sqrt(q.shape[3]), k.contiguous(), v.transpose(2, 3).contiguous()
    seen = q.new_empty(q.shape[0], q.shape[2], q.shape[1], q.shape[3])  # as the heads are joined
    for row in range(q.shape[0]):
        for head in range(q.shape[1]):
            for first in range(0, q.shape[2], BLOCK):
                block = scaled[row, head, first : first + BLOCK].contiguous()
                weights = product(block, keys[row, head], None).softmax(dim=-1)
                seen[row, first : first + BLOCK, head] = product(weights, values[row, head], None)
    return seen.transpose(1, 2)
