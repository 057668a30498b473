"""Channels become one, whatever the blocks in which they come."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.mixing import Mixer, mean_of

SPEECH = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
OTHER = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
TURNED = np.stack([SPEECH, np.where(np.arange(1000) < 400, SPEECH, -SPEECH)])


def mixed(channels, sizes, cell=100):
    mixer, found, at = Mixer(len(channels), cell), [], 0
    for size in [*sizes, channels.shape[1]]:
        found.append(mixer.add(channels[:, at : at + size]))
        at = min(at + size, channels.shape[1])
    return np.concatenate([*found, mixer.rest()]), mixer.num_cancelled


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), max_size=12))
def test_blocks_of_any_size_give_the_same(sizes):
    for channels in (TURNED, np.stack([SPEECH, OTHER]), SPEECH[None], np.stack([SPEECH] * 6)):
        whole, part = mixed(channels, []), mixed(channels, sizes)
        np.testing.assert_array_equal(whole[0], part[0])
        assert whole[1] == part[1] and len(whole[0]) == 1000


def test_opposite_channels_give_one_of_them_from_where_they_are_opposite():
    samples, num_cancelled = mixed(TURNED, [])
    np.testing.assert_allclose(samples, SPEECH, atol=1e-6)
    assert num_cancelled == 600


@given(st.floats(0.5, 2.0), st.integers(2, 6))
def test_unrelated_channels_are_never_taken_for_opposite_ones(gain, number):
    rng = np.random.default_rng(number)
    channels = rng.standard_normal((number, 800)).astype(np.float32)
    channels[0] *= gain
    samples, num_cancelled = mixed(channels, [])
    assert num_cancelled == 0
    np.testing.assert_array_equal(samples, mean_of(channels))


def test_silence_stays_silence():
    assert mixed(np.zeros((2, 250), np.float32), [])[1] == 0
