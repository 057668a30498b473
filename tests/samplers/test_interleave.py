import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.samplers.interleave import interleave, longest_run

COUNTS = st.lists(st.integers(0, 40), max_size=12)
ZIPF = [4000 // rank for rank in range(1, 61)]


@settings(deadline=None)
@given(COUNTS, st.integers(0, 5))
def test_every_group_gets_as_many_steps_as_it_has_batches(counts, seed):
    turns = interleave(np.array(counts, dtype=np.int64), np.random.default_rng(seed))
    assert np.bincount(turns, minlength=len(counts)).tolist() == counts


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=8), st.integers(0, 5))
def test_no_group_runs_longer_than_two_unless_it_outweighs_the_others(counts, seed):
    turns = interleave(np.array(counts), np.random.default_rng(seed))
    most = max(counts)
    assert longest_run(turns) <= max(2, -(-most // (sum(counts) - most)))


@pytest.mark.parametrize("counts", [ZIPF, [10] * 143, [80, 75, 70, 60, 79, 77], [1000, *[2] * 99]])
def test_at_every_step_each_group_has_had_its_part(counts):
    turns = interleave(np.array(counts), np.random.default_rng(3))
    for group, count in enumerate(counts):
        places = np.flatnonzero(turns == group)
        ideal = (np.arange(count) + 0.5) / count * len(turns)
        assert np.abs(places - ideal).max() <= 2 * len(turns) / count


def test_the_last_steps_hold_the_groups_in_proportion():
    turns = interleave(np.array([900, 90, 10]), np.random.default_rng(0))
    assert np.bincount(turns[-100:], minlength=3) == pytest.approx([90, 9, 1], abs=1)


def test_another_draw_is_another_order():
    orders = [interleave(np.full(20, 5), np.random.default_rng(seed)).tolist() for seed in (0, 1)]
    assert orders[0] != orders[1]


@pytest.mark.parametrize(("groups", "run"), [([], 0), ([4], 1), ([1, 1, 0, 1], 2), ([2] * 9, 9)])
def test_longest_run(groups, run):
    assert longest_run(np.array(groups, dtype=np.int64)) == run
