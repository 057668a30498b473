"""Frames of speech that goes on are those of the whole recording."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.runtime.live.frames import ExactFrames, WindowFrames, contexts
from tests.runtime.live.convs import conv_stack
from tests.runtime.live.tones import SHIFT

STACK = conv_stack()
SPEECH = np.random.default_rng(1).standard_normal(16000 * 7 + 123).astype(np.float32) * 0.1
WHOLE = STACK(SPEECH)
SLOW = settings(max_examples=25, deadline=None)


@given(lengths=st.lists(st.integers(1, 30_000), min_size=1, max_size=6).filter(
    lambda x: sum(x) > 500),
       hop=st.sampled_from([0.05, 0.32, 1.0]))  # fmt: skip
@SLOW
def test_final_frames_are_those_of_the_whole_recording(lengths, hop):
    frames = ExactFrames(STACK, hop)
    start, n, final = 0, 0, []
    while start < len(SPEECH):
        piece = SPEECH[start : start + lengths[n % len(lengths)]]
        start, n = start + len(piece), n + 1
        for _ in frames.feed(piece):
            final.append(frames.log_probs[: frames.num_final])
            frames.cut(frames.num_final)
    frames.finish()
    got = np.concatenate([*final, frames.log_probs])
    assert got.shape == WHOLE.shape and frames.num_final == len(frames.log_probs)
    np.testing.assert_allclose(got, WHOLE, atol=1e-5)


def test_frames_wait_for_no_more_than_their_receptive_field():
    before, behind = contexts(STACK)
    assert before >= 8 and behind >= 8  # half of the field, to either side
    assert before + behind <= -(-STACK.receptive_field // SHIFT) + 2
    assert ExactFrames(STACK, 0.32).latency == behind * SHIFT / 16000


def test_a_field_that_is_too_small_is_found_out():
    with pytest.raises(ValueError, match="more than the 2000 samples"):
        contexts(replace(STACK, receptive_field=2000))


@pytest.mark.parametrize("kind", [ExactFrames, lambda *a: WindowFrames(*a, left=1.0)])
def test_what_is_done_with_takes_no_memory(kind):
    frames = kind(STACK, 0.5)
    kept = []
    for _ in range(20):
        for _ in frames.feed(SPEECH[:16000]):
            frames.cut(frames.num_final or max(0, len(frames.log_probs) - 25))
            kept.append(sum(map(len, frames._sound)))
    assert max(kept) < 3 * 16000 and frames.heard == 20
    assert 16 < frames.seconds(0) <= 20


def test_less_sound_than_a_frame_needs_gives_none():
    frames = ExactFrames(STACK, 0.3)
    assert list(frames.feed(SPEECH[:300])) == []
    frames.finish()
    assert len(frames.log_probs) == 0


def test_windows_hear_all_since_the_cut_and_some_of_what_was_before():
    heard = []

    def model(samples):
        heard.append(len(samples))
        return STACK.model(samples)

    frames = WindowFrames(replace(STACK, model=model), hop=0.64, left=0.2)
    for number, _ in enumerate(frames.feed(SPEECH[: SHIFT * 16 * 5]), 1):
        assert len(frames.log_probs) == 16 * (number if number < 4 else number - 3)
        if number == 3:
            frames.cut(48)
    assert heard == [SHIFT * n for n in (16, 32, 48, 16 + 5, 32 + 5)]


def test_a_slow_model_is_asked_less_often_and_the_more_so_the_more_it_hears():
    heard = []

    def model(samples):
        heard.append(len(samples))
        return STACK.model(samples)

    frames = WindowFrames(replace(STACK, model=model), hop=0.5, left=0.0, cost=0.1)
    for _ in frames.feed(np.tile(SPEECH, 2)):
        pass
    gaps = np.diff(heard)
    assert heard[0] == gaps[0] == 8000 and list(gaps) == sorted(gaps)
    assert sum(heard) * 0.1 < 0.3 * len(SPEECH) * 2  # of the time; without, 0.7
