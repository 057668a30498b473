"""Intervals cover the truth, tests find what differs and nothing else, the same seed the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.scoring import bootstrap as resampling
from asr_dro_plugin.scoring.bootstrap import (
    interval,
    rates,
    resampled_groups,
    sampling_units,
)
from asr_dro_plugin.scoring.confidence import intervals_of
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.swaps import holm, paired_groups, paired_test

REFS = np.full(200, 20)


def noisy(rng, rate, refs=REFS):
    return rng.binomial(refs, rate)


def bootstrap_interval(errors, refs, units=None, **how):
    """The interval of one group's rate, as every score takes it."""
    table = np.stack([errors, refs], axis=1).astype(float)
    drawn = resampled_groups(table, np.zeros(len(table), int), units, **how)[:, 0]
    rate = rates(drawn[:, 0], drawn[:, 1])
    return interval(rate, rate[:, None], [len(set(units or range(len(table))))])


def test_the_interval_covers_the_true_rate_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        low, high = bootstrap_interval(noisy(rng, 0.2), REFS, samples=200)
        inside += low <= 0.2 <= high
    assert 0.88 <= inside / 200 <= 0.99


def test_speakers_that_err_alike_make_the_interval_wider():
    rng = np.random.default_rng(2)
    speakers = np.repeat(np.arange(20), 10)
    errors = np.minimum(rng.binomial(20, rng.uniform(0, 0.5, 20))[speakers], 20)
    alone = bootstrap_interval(errors, REFS)
    grouped = bootstrap_interval(errors, REFS, [f"spk{number}" for number in speakers])
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])


def test_the_same_seed_gives_the_same_and_another_seed_another_interval():
    errors = noisy(np.random.default_rng(3), 0.3)
    assert bootstrap_interval(errors, REFS) == bootstrap_interval(errors, REFS)
    assert bootstrap_interval(errors, REFS) != bootstrap_interval(errors, REFS, seed=1)


@pytest.mark.parametrize("units", [None, ["a"]])
def test_of_one_unit_there_is_no_interval(units):
    alone = score({"a": "one two"}, {"a": "one too"})
    assert intervals_of(alone).total == {"cer": None, "wer": None}
    found = paired_test([1], [2], [5], units)
    assert (found.low, found.high, found.p_value) == (None, None, 1.0)


@given(
    values=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30),
    block=st.integers(1, 64),
)
@settings(max_examples=40, deadline=None)
def test_every_sample_lies_between_the_extremes_whatever_the_block(values, block):
    table = np.array(values, dtype=float)
    before = resampling.BLOCK
    try:
        resampling.BLOCK = block
        sums = resampled_groups(table, np.zeros(len(table), int), samples=50)[:, 0]
    finally:
        resampling.BLOCK = before
    assert sums.shape == (50, 2)
    assert (sums >= len(table) * table.min(axis=0)).all()
    assert (sums <= len(table) * table.max(axis=0)).all()


def test_groups_keep_their_number_of_units_and_are_drawn_apart():
    groups = np.repeat([0, 1, 2], [50, 3, 50])
    sums = resampled_groups(np.ones((103, 1)), groups)
    assert (sums[:, :, 0] == [50, 3, 50]).all()
    values = np.random.default_rng(4).normal(size=50)
    both = resampled_groups(np.concatenate([values, values])[:, None], np.repeat([0, 1], 50))
    assert abs(np.corrcoef(both[:, 0, 0], both[:, 1, 0])[0, 1]) < 0.2


def test_equal_hypotheses_never_differ():
    errors = noisy(np.random.default_rng(5), 0.2)
    found = paired_test(errors, errors, REFS)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_real_difference_is_found_with_its_sign_and_size():
    rng = np.random.default_rng(6)
    worse, better = noisy(rng, 0.3), noisy(rng, 0.2)
    found = paired_test(worse, better, REFS)
    assert found.difference == pytest.approx((better.sum() - worse.sum()) / REFS.sum())
    assert found.low < found.difference < found.high < 0
    assert found.p_value < 0.01
    assert paired_test(better, worse, REFS).difference == -found.difference


def test_false_alarms_are_as_rare_as_the_level_says():
    rng = np.random.default_rng(7)
    found = [
        paired_test(noisy(rng, 0.2), noisy(rng, 0.2), REFS, samples=200).p_value < 0.05
        for _ in range(200)
    ]
    assert sum(found) <= 20  # 10 are expected


def test_p_equals_that_of_all_swaps_where_they_can_be_counted():
    gains = np.array([3, 1, 2, -1, 4])
    signs = np.array(np.meshgrid(*[[1, -1]] * 5)).reshape(5, -1)
    exact = np.mean(np.abs(gains @ signs) >= abs(gains.sum()))
    found = paired_test(np.zeros(5), gains, np.full(5, 10), samples=20000)
    assert found.p_value == pytest.approx(exact)


def test_macro_weighs_groups_alike_and_micro_by_their_text():
    errors_a = np.concatenate([np.full(100, 2), np.full(10, 10)])
    errors_b = np.concatenate([np.full(100, 4), np.full(10, 2)])
    groups = np.repeat([0, 1], [100, 10])
    found = paired_groups(errors_a, errors_b, np.full(110, 20), groups)
    assert [each.difference for each in found.groups] == pytest.approx([0.1, -0.4])
    assert found.macro.difference == pytest.approx(-0.15)
    assert found.micro.difference == pytest.approx((200 - 80) / 2200)
    assert found.groups[0] == paired_test(errors_a[:100], errors_b[:100], np.full(100, 20))


def test_holm_corrects_by_hand_values():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert len(holm([])) == 0


def test_groups_of_one_speaker_are_drawn_by_utterance():
    groups = [0] * 6 + [1] * 3
    speakers = ["a", "a", "a", "a", "e", "e", "x", "x", "x"]
    units, alone = sampling_units(groups, speakers)
    assert alone.tolist() == [False, True]
    assert len(set(units[:6])) == 2 and units[4] == units[5]
    assert len(set(units[6:])) == 3 and not set(units[6:]) & set(units[:6])


def test_an_empty_reference_has_rate_0_or_1():
    assert rates(np.array([0, 3]), np.array([0, 0])).tolist() == [0.0, 1.0]
