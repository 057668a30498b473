"""The promises of ``plan_batches``, each for every sampler that makes it."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers import SAMPLERS, plan_batches
from asr_dro_plugin.samplers.describe import describe_plan

UTTERANCES = st.lists(st.tuples(st.floats(0.1, 70.0), st.integers(0, 5)), max_size=60)
ONE_GROUP = ["group_duration", "balanced", "temperature"]
ONCE = ["group_duration", "sorted"]


def corpus(num=3000, num_groups=7, seed=0):
    """Lengths in seconds and group ids, the first groups the largest."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, num_groups + 1)
    durations = np.clip(rng.lognormal(1.6, 0.6, num), 0.5, 20)
    return durations, rng.choice(num_groups, num, p=shares / shares.sum())


def plan(data, method="group_duration", epoch=1, seed=0, duration=50.0, **conf):
    return plan_batches(*data, method=method, duration=duration, seed=seed, epoch=epoch, **conf)


@settings(deadline=None)
@given(UTTERANCES, st.sampled_from(ONCE), st.integers(1, 4), st.integers(0, 3))
def test_over_all_ranks_every_utterance_occurs_once_and_all_have_equally_many_batches(
    utterances, method, world_size, epoch
):
    data = [d for d, _ in utterances], [g for _, g in utterances]
    ranks = [
        plan(data, method, epoch, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    assert len({len(batches) for batches in ranks}) == 1
    used = sorted(utt for batches in ranks for batch in batches for utt in batch)
    assert used == list(range(len(utterances)))
    # Empty ones fill the last step only.
    assert all(batch for batches in ranks for batch in batches[:-1])


@settings(deadline=None)
@given(UTTERANCES.filter(bool), st.sampled_from(list(SAMPLERS)))
def test_no_batch_is_empty_and_none_above_d_but_a_single_longer_utterance(utterances, method):
    durations, groups = [d for d, _ in utterances], [g for _, g in utterances]
    for batch in plan((durations, groups), method):
        assert len(batch) == 1 or 0 < sum(durations[utt] for utt in batch) <= 50.0 * (1 + 1e-9)


@settings(deadline=None)
@given(UTTERANCES.filter(bool), st.sampled_from(ONE_GROUP))
def test_a_batch_holds_one_group(utterances, method):
    groups = [g for _, g in utterances]
    batches = plan(([d for d, _ in utterances], groups), method)
    assert all(len({groups[utt] for utt in batch}) == 1 for batch in batches)


@pytest.mark.parametrize("method", SAMPLERS)
def test_a_seed_and_an_epoch_give_one_plan_and_another_epoch_another(method):
    data = corpus(2000)
    assert plan(data, method, epoch=1) == plan(data, method, epoch=1)
    once, again, reseeded = (
        {tuple(sorted(batch)) for batch in plan(data, method, epoch=epoch, seed=seed)}
        for epoch, seed in ((1, 0), (2, 0), (1, 1))
    )
    assert len(once & again) < 0.2 * len(once)
    assert len(once & reseeded) < 0.2 * len(once)


def test_no_generator_but_the_plans_own_is_touched():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    for method in SAMPLERS:
        plan(corpus(200), method)
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


@pytest.mark.parametrize("method", ONCE)
def test_padding_is_less_than_that_of_random_batches(method):
    durations, groups = corpus()
    batches = plan((durations, groups), method)
    ours = describe_plan(batches, durations, groups, 50.0)
    order = np.random.default_rng(0).permutation(len(durations))
    chance = describe_plan(np.array_split(order, len(batches)), durations, groups, 50.0)
    assert ours.padding < chance.padding / 3


def test_full_batches_of_a_corpus_are_filled_to_95_percent_and_groups_take_turns_to_the_end():
    durations, groups = corpus(20000, 20)
    batches = plan((durations, groups))
    stats = describe_plan(batches, durations, groups, 50.0)
    assert stats.mean_fill >= 0.95
    assert stats.longest_run <= 2
    tail = describe_plan(batches[-50:], durations, groups, 50.0)
    assert (tail.batches_G > 0).sum() >= 10


def test_balanced_gives_every_group_equally_many_batches():
    durations, groups = corpus()
    stats = describe_plan(plan((durations, groups), "balanced"), durations, groups, 50.0)
    assert np.ptp(stats.batches_G) <= 1
    assert stats.max_repeats > 1


def test_temperature_gives_groups_by_a_root_of_their_seconds():
    durations, groups = corpus(20000)
    conf = {"tau": 2.0, "num_batches": 1000}
    stats = describe_plan(plan((durations, groups), "temperature", **conf), durations, groups, 50.0)
    roots = np.sqrt(np.bincount(groups, durations))
    assert np.abs(stats.batches_G - 1000 * roots / roots.sum()).max() <= 1
    assert stats.num_batches == 1000


@pytest.mark.parametrize("max_repeats", [1, 3])
def test_temperature_repeats_no_utterance_more_often_than_its_cap(max_repeats):
    data = np.array([5.0] * 400 + [5.0] * 8), np.array([0] * 400 + [1] * 8)
    batches = plan(data, "temperature", tau=100.0, max_repeats=max_repeats)
    stats = describe_plan(batches, *data, 50.0)
    assert stats.max_repeats == max_repeats
    assert stats.num_batches == 41  # what the small group may not have goes to the large one


@pytest.mark.parametrize("method", ONE_GROUP)
def test_groups_are_drawn_by_their_weights(method):
    durations, groups = corpus(20000, 4)
    weights = [0.1, 0.2, 0.3, 0.4]
    batches = plan((durations, groups), method, group_weights=weights)
    counts = describe_plan(batches, durations, groups, 50.0).batches_G
    assert counts / counts.sum() == pytest.approx(weights, abs=0.01)


def test_weights_of_groups_without_utterances_are_left_out():
    batches = plan(([5.0, 5.0], [0, 2]), group_weights=[0.25, 0.5, 0.25])
    assert sorted(batches) == [[0], [1]]


def test_a_group_that_is_drawn_often_uses_all_its_utterances_before_it_repeats_one():
    data = np.full(100, 5.0), np.array([0] * 50 + [1] * 50)
    batches = plan(data, "balanced", num_batches=30)
    counts = np.bincount([utt for batch in batches for utt in batch], minlength=100)
    assert counts.min() == counts.max() == 3


@pytest.mark.parametrize("method", SAMPLERS)
def test_no_utterances_give_no_batches(method):
    assert plan(([], []), method) == []


def test_sorted_without_shuffle_begins_with_the_longest_and_never_changes():
    data = corpus(500)
    first, second = (plan(data, "sorted", epoch=e, shuffle=False) for e in (1, 2))
    assert first == second
    assert data[0][first[0]].max() == data[0].max()
    longest = [data[0][batch].max() for batch in first]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.parametrize(
    ("durations", "groups", "conf", "words"),
    [
        ([1.0, 2.0], [0], {}, "2 durations came with 1 group ids"),
        ([1.0, float("nan")], [0, 0], {}, "index 1: nan s"),
        ([0.0], [0], {}, "index 0: 0.0 s"),
        ([1.0], [-1], {}, "index 0 has -1"),
        ([1.0], [0.5], {}, "index 0 has 0.5"),
        ([1.0], [0], {"duration": 0.0}, "duration must be above 0"),
        ([1.0], [0], {"seed": -1}, "Seed -1"),
        ([1.0], [0], {"method": "temprature"}, "Did you mean 'temperature'?"),
        ([1.0], [0], {"method": "temperature", "tau": 0.5}, "tau must be at least 1, not 0.5"),
        ([1.0], [0], {"method": "temperature", "max_repeats": 0}, "max_repeats must be at least 1"),
        ([1.0], [0], {"method": "balanced", "num_batches": 0}, "num_batches is 0"),
        ([1.0], [0], {"rank": 2, "world_size": 2}, "Rank 2 is not one of 2"),
        ([1.0], [0], {"world_size": 0}, "world_size is 0: at least one process"),
        ([1.0], [1], {"group_weights": [1.0]}, "1 group weights for 2 groups"),
        ([1.0], [0], {"group_weights": [float("nan")]}, "must be finite"),
        ([1.0], [0], {"group_weights": [0.0, 1.0]}, "have weight 0"),
        ([1.0], [0], {"method": "sorted", "group_weights": [1.0]}, "acts_on: loss"),
    ],
)
def test_bad_input_is_refused_in_words(durations, groups, conf, words):
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        plan((durations, groups), **conf)
