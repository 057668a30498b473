import numpy as np
import pytest

from asr_dro_plugin.samplers.describe import describe_plan

DURATIONS = [10.0, 10.0, 8.0, 4.0, 30.0, 5.0]
GROUPS = [0, 0, 0, 0, 1, 1]


def test_figures_of_a_plan_by_hand():
    stats = describe_plan([[0, 1], [5], [4], [], [2, 3]], DURATIONS, GROUPS, 20.0)
    assert (stats.num_batches, stats.num_utterances) == (4, 6)
    # Full: of group 0 [0, 1], not the least full [2, 3]; of group 1 none, for 30 s are above d.
    assert stats.mean_fill == 1.0
    assert stats.mean_fill_of_all == pytest.approx((1 + 0.25 + 1 + 0.6) / 4)
    assert stats.padding == pytest.approx(1 - 67 / (20 + 5 + 30 + 16))
    assert stats.over_long.tolist() == [4]
    assert stats.longest_run == 2
    assert stats.batches_G.tolist() == [2, 2]
    assert (stats.max_repeats, stats.num_left_out) == (1, 0)


def test_repeats_and_what_is_left_out_are_counted():
    stats = describe_plan([[0], [0], [0, 1]], DURATIONS, GROUPS, 20.0)
    assert (stats.max_repeats, stats.num_left_out) == (3, 4)


def test_batches_of_several_groups_have_no_run():
    stats = describe_plan([[0, 5], [1, 2]], DURATIONS, GROUPS, 20.0)
    assert stats.longest_run == 0 and len(stats.batches_G) == 0
    assert "longest run" not in str(stats)


def test_no_batches_have_no_fill():
    stats = describe_plan([], [], [], 20.0)
    assert stats.num_batches == 0 and np.isnan(stats.mean_fill)
    assert "filled to 0.0 %" in str(stats)


def test_the_line_for_the_log():
    line = str(describe_plan([[0, 1], [2, 3], [5], [4]], DURATIONS, GROUPS, 20.0))
    assert line.startswith("4 batches of up to 20 s hold 6 utterances; the full ones are filled")
    assert line.endswith("longest run of one group 2")
    drawn = str(describe_plan([[0, 1], [0], [5]], DURATIONS, GROUPS, 20.0))
    assert drawn.endswith("; utterances occur up to 2 times, 3 not at all")
