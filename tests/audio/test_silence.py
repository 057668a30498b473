"""Stretches without any signal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.audio.silence import FAINT, has_sound, silences
from tests.sounds import noise


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_every_pause_is_found_to_a_hundredth_of_a_second(lengths):
    """Sound and silence in turns, in hundredths of a second."""
    parts = [noise(n / 100, seed=n) if i % 2 == 0 else np.zeros(n * 160) for i, n in
             enumerate(lengths)]  # fmt: skip
    edges = np.cumsum([0, *lengths]) * 160
    pauses = [(s, e) for s, e in zip(edges, edges[1:], strict=False)][1::2]
    wanted = [(s, e) for s, e in pauses if e - s >= 0.2 * 16000]
    assert silences(np.concatenate(parts), 0.2) == wanted


@pytest.mark.parametrize("level", [0.0, 0.25, -1.0])
def test_a_constant_and_its_dither_are_silence(level):
    dither = np.random.default_rng(0).integers(-1, 2, 16000) / 32768
    samples = (level + dither).astype(np.float32)
    assert not has_sound(samples) and silences(samples, 0.5) == [(0, 16000)]
    assert has_sound(samples + noise(1.0)) and np.ptp(dither) < FAINT


def test_the_rest_behind_the_last_window_counts_too():
    samples = np.zeros(16000 + 7, np.float32)
    assert silences(samples, 0.5) == [(0, 16007)]
    samples[-1] = 0.5
    assert silences(samples, 0.5) == [(0, 16000)]
    assert silences(samples[:0], 0.5) == [] and silences(samples[:9], 0.0005) == [(0, 9)]
