# ruff: noqa: NPY002  the legacy generator of numpy is what ESPnet and transformers draw from
"""Generators put back draw on as if nothing had happened."""

import io
import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.espnet.process.randomness import RandomState


def draw():
    return (
        random.gauss(0, 1), np.random.randn(3).tolist(), torch.randn(3).tolist(), random.random(),
        np.random.randint(100),
    )  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_a_restored_state_draws_the_same_even_after_a_file(seed, before):
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    for _ in range(before):
        draw()
    random.gauss(0, 1), np.random.randn()  # leave a second normal number in the generators
    state = RandomState.now()
    expected = draw(), draw()
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    RandomState.from_state_dict(torch.load(buffer, weights_only=True)).restore()
    assert (draw(), draw()) == expected
    state.restore()
    assert (draw(), draw()) == expected
