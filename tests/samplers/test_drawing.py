import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.samplers.drawing import capped_shares, rounded

PARTS = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=10)


@settings(deadline=None)
@given(PARTS, st.integers(0, 100))
def test_rounding_keeps_each_part_within_one_and_the_sum(parts, seed):
    wanted = np.array(parts)
    counts = rounded(wanted, np.random.default_rng(seed))
    assert np.abs(counts - wanted).max() <= 1
    assert abs(counts.sum() - wanted.sum()) < 1


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=10), st.integers(1, 500),
       st.integers(0, 100))  # fmt: skip
def test_rounding_deals_out_a_whole_number_exactly(shares, total, seed):
    wanted = np.array(shares) / np.sum(shares) * total
    assert rounded(wanted, np.random.default_rng(seed)).sum() == total


def test_a_group_that_deserves_a_tenth_of_a_batch_gets_one_in_ten_epochs():
    wanted = np.array([0.1, 4.9])
    draws = [rounded(wanted, np.random.default_rng(seed))[0] for seed in range(2000)]
    assert np.mean(draws) == pytest.approx(0.1, abs=0.03)


def test_what_a_capped_group_may_not_have_goes_to_the_others():
    dealt = capped_shares(np.array([1.0, 1.0, 2.0]), np.array([5.0, 100.0, 100.0]), 80)
    assert dealt.tolist() == pytest.approx([5, 25, 50])


def test_shares_fall_short_of_the_total_only_when_all_are_capped():
    assert capped_shares(np.array([3.0, 1.0]), np.array([5.0, 6.0]), 80).tolist() == [5, 6]


def test_a_group_without_utterances_gets_nothing():
    assert capped_shares(np.array([1.0, 1.0]), np.array([0.0, np.inf]), 8).tolist() == [0, 8]
