"""What a model hears of a recording with digital silence, and where its frames belong."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.sounding import EDGE, PAUSE, SHORTEST, Sounding

RATE, SHIFT = 16000, 640  # samples a frame of 40 ms


def speech(seconds, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE), np.float32)


def recording(*seconds):
    """Speech and digital silence in turns."""
    parts = [speech(s, n) if n % 2 == 0 else np.zeros(round(s * RATE)) for n, s in
             enumerate(seconds)]  # fmt: skip
    return np.concatenate(parts).astype(np.float32)


def model(samples):
    """(S, 2) "log probabilities": the loudness of each frame, in the column beside the blank."""
    count = max(0, (len(samples) - 100) // SHIFT)  # the last frame is lost, as convolutions do
    rows = samples[: count * SHIFT].reshape(count, SHIFT).std(1)
    return np.stack([np.full(count, -9.0), rows], 1)


def test_a_recording_without_silence_is_heard_as_it_is():
    samples = speech(3)
    sounding = Sounding(samples, SHIFT)
    assert sounding.heard is samples and sounding.cuts == []
    rows = model(samples)
    assert sounding.whole(rows, 0) is rows


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=7))
def test_every_frame_is_where_it_was_and_the_others_are_blank(seconds):
    samples = recording(*seconds)
    sounding = Sounding(samples, SHIFT)
    whole = sounding.whole(model(sounding.heard), 0)
    expected = model(samples)
    assert abs(len(whole) - len(expected)) <= 1
    left_out = np.zeros(len(whole), bool)
    for start, end in sounding.cuts:
        left_out[start:end] = True
    assert (whole[left_out] == [0.0, -np.inf]).all()
    size = min(len(whole), len(expected))
    loud = expected[:size, 1] > 0.05
    assert not (left_out[:size] & loud).any()
    np.testing.assert_allclose(whole[:size][loud], expected[:size][loud], atol=0.01)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.1, 2.0), min_size=2, max_size=6))
def test_nothing_that_is_heard_lacks_a_signal_for_long(seconds):
    heard = Sounding(recording(*seconds), SHIFT).heard
    windows = heard[: len(heard) // 800 * 800].reshape(-1, 800)  # of 50 ms
    assert (windows.std(1) > 1e-4).all()


def test_long_pauses_keep_their_edges():
    samples = np.concatenate([np.zeros(32000, np.float32), recording(1, 5, 1, 3)])
    assert abs(len(Sounding(samples, SHIFT).heard) / RATE - (2 + 3 * EDGE)) < 0.1
    short = recording(1, PAUSE - 0.05, 1)
    assert len(Sounding(short, SHIFT).heard) == len(short)
    shorter = recording(1, SHORTEST - 0.02, 1)
    assert Sounding(shorter, SHIFT).heard is shorter


def test_the_same_recording_is_heard_alike_twice():
    samples = recording(1, 2, 1)
    first, second = (Sounding(samples, SHIFT).heard for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not samples[20000:30000].any()  # which are not written into
