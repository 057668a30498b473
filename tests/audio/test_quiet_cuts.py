"""Long audio cut where it is quiet."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.quiet_cuts import WINDOW, quiet_pieces


@settings(deadline=None)
@given(num_samples=st.integers(0, 40000), longest=st.integers(100, 9000))
def test_pieces_follow_on_and_are_none_too_long(num_samples, longest):
    samples = np.ones(num_samples, dtype=np.float32)
    pieces = quiet_pieces(samples, longest)
    assert pieces[0][0] == 0 and pieces[-1][1] == num_samples
    assert all(one[1] == two[0] for one, two in zip(pieces, pieces[1:], strict=False))
    assert all(end - start <= longest for start, end in pieces)
    assert all(end > start for start, end in pieces) or not num_samples


def test_a_cut_lies_in_the_pause():
    samples = np.random.default_rng(0).standard_normal(10 * WINDOW)
    samples[6 * WINDOW : 7 * WINDOW] = 0.0
    (_, cut), _ = quiet_pieces(samples, 8 * WINDOW)
    assert abs(cut - 6.5 * WINDOW) <= 1


def test_what_fits_is_one_piece():
    assert quiet_pieces(np.ones(100), 100) == [(0, 100)]
