"""Sound in pieces is the sound: no click at a border, no sample lost that is split by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.files import resample
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.runtime.live.pcm import PcmStream
from tests.runtime.live.tones import pieces_of

NOISE = (np.random.default_rng(0).standard_normal(30_001) * 3000).astype("<i2")


@given(lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=5).filter(lambda x: sum(x) > 90),
       rate=st.sampled_from([16000, 24000]))  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_pieces_of_any_number_of_bytes_give_the_samples_of_the_whole(lengths, rate):
    stream = PcmStream(rate)
    got = [stream.feed(piece) for piece in pieces_of(NOISE.tobytes(), lengths)] + [stream.end()]
    whole = resample(NOISE.astype(np.float32) / 32768, rate, 16000)
    np.testing.assert_array_equal(np.concatenate(got), whole)


def test_half_a_sample_at_the_end_does_not_move_what_comes_after_it():
    stream = PcmStream()
    stream.feed(b"\x01\x02\x03")
    assert len(stream.end()) == 0
    np.testing.assert_array_equal(stream.feed(b"\x00\x40"), np.float32([0.5]))


def test_an_end_without_sound_has_none():
    assert len(PcmStream(24000).end()) == 0


@pytest.mark.parametrize("rate", [8000, 48000, 0])
def test_other_rates_are_refused_by_name(rate):
    with pytest.raises(UserError, match=f"{rate} Hz"):
        PcmStream(rate)
