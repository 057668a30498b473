import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.samplers import packing
from asr_dro_plugin.samplers.packing import pack, seconds_of

LENGTHS = st.lists(st.floats(0.01, 80.0), min_size=1, max_size=60)


def speech(num, seed=0, mean=6.0):
    """Lengths as corpora have them, 0.5 to 20 s."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.lognormal(np.log(mean) - 0.18, 0.6, num), 0.5, 20)


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.floats(0.5, 60.0), st.booleans())
def test_every_utterance_is_in_one_batch_and_none_is_above_d_but_a_single_longer_one(
    lengths, limit, is_drawn
):
    durations = np.array(lengths)
    batches = pack(durations, limit, np.random.default_rng(0) if is_drawn else None)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(durations)))
    for batch in batches:
        assert len(batch) == 1 or durations[batch].sum() <= limit * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.floats(0.5, 60.0))
def test_no_batch_takes_more_memory_than_half_as_much_again_as_d(lengths, limit):
    durations = np.array(lengths)
    for batch in pack(durations, limit, np.random.default_rng(0)):
        padded = len(batch) * durations[batch].max()
        assert len(batch) == 1 or padded <= packing.PADDED * limit * (1 + 1e-9)


@pytest.mark.parametrize("num", [300, 5000])
@pytest.mark.parametrize("kind", ["lognormal", "uniform"])
def test_full_batches_are_filled_to_95_percent_with_little_padding(num, kind):
    durations = speech(num) if kind == "lognormal" else np.random.default_rng(0).uniform(1, 20, num)
    batches = pack(durations, 50.0, np.random.default_rng(1))
    seconds = seconds_of(batches, durations)
    assert np.sort(seconds)[1:].mean() >= 0.95 * 50
    padded = sum(len(batch) * durations[batch].max() for batch in batches)
    assert 1 - durations.sum() / padded < 0.08


def test_a_wide_spread_of_lengths_is_mixed_further_until_batches_are_full():
    durations = np.clip(np.random.default_rng(0).lognormal(1.2, 1.0, 5000), 0.5, 20)
    seconds = seconds_of(pack(durations, 50.0, np.random.default_rng(1)), durations)
    assert np.sort(seconds)[1:].mean() >= 0.95 * 50


def test_few_unlike_utterances_share_a_batch_although_that_pads():
    assert [batch.tolist() for batch in pack(np.array([3.0, 20.0, 9.0]), 50.0)] == [[1, 2, 0]]


def test_without_a_generator_the_batches_are_always_the_same():
    first, second = (pack(speech(500), 50.0) for _ in range(2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]


def test_two_draws_bring_other_utterances_together():
    durations = speech(2000)
    draws = [
        {tuple(sorted(b.tolist())) for b in pack(durations, 50.0, np.random.default_rng(seed))}
        for seed in (0, 1)
    ]
    assert len(draws[0] & draws[1]) < 0.05 * len(draws[0])


def test_equal_lengths_are_packed_as_tightly_as_they_can_be():
    sizes = [len(batch) for batch in pack(np.full(103, 5.0), 50.0)]
    assert sorted(sizes) == [3, *[10] * 10]


def test_lengths_that_cannot_fill_a_batch_are_tried_once(monkeypatch):
    tried = []
    batches = packing._Packer.batches
    monkeypatch.setattr(
        packing._Packer, "batches", lambda self, share: tried.append(share) or batches(self, share)
    )
    assert {len(batch) for batch in pack(np.full(400, 11.0), 50.0)} == {4}
    assert tried == [packing.SHARES[0]]


def test_the_work_grows_with_the_number_of_utterances_not_with_its_square(monkeypatch):
    steps = 0
    last = packing._Free.last

    def counted(self, position):
        nonlocal steps
        while self.below[position] != position:  # the same walk, counted
            steps += 1
            self.below[position] = position = self.below[self.below[position]]
        return last(self, position)

    monkeypatch.setattr(packing._Free, "last", counted)
    per_utterance = []
    for num in (2000, 20000):
        steps = 0
        pack(speech(num), 50.0, np.random.default_rng(0))
        per_utterance.append(steps / num)
    assert per_utterance[1] < 2 * per_utterance[0]
