"""Figures of a batch by group: on the host, on a device, and over ranks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import totals
from asr_dro_plugin.objectives.totals import sum_by_group, sum_on_device, sum_on_host

LOSSES = torch.tensor([1.0, 2.0, math.inf, 4.0, math.nan])
IDS = torch.tensor([0, 2, 2, 2, 1])
LENGTHS = torch.tensor([10, 20, 30, 40, 50])


def test_losses_that_are_not_finite_are_counted_apart():
    sums = sum_by_group(LOSSES, IDS, 4, num_frames_B=LENGTHS, durations_B=LENGTHS / 10)
    assert sums[totals.LOSS].tolist() == [1.0, 0.0, 6.0, 0.0]
    assert sums[totals.UTTERANCES].tolist() == [1, 0, 2, 0]
    assert sums[totals.BATCHES].tolist() == [1, 0, 1, 0]
    assert sums[totals.SKIPPED].tolist() == [0, 1, 1, 0]
    assert sums[totals.FRAMES].tolist() == [10, 0, 60, 0]
    assert sums[totals.SECONDS].tolist() == [1, 0, 6, 0]
    assert sums[totals.LABELS].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_losses_of_any_precision_are_summed_in_double(dtype):
    sums = sum_by_group(LOSSES.to(dtype), IDS, 4)
    assert sums.dtype == torch.float64 and sums[totals.LOSS].tolist() == [1.0, 0.0, 6.0, 0.0]


losses = st.one_of(st.floats(0, 1e4, width=32), st.sampled_from([math.inf, -math.inf, math.nan]))


@settings(max_examples=60, deadline=None)
@given(batch=st.lists(st.tuples(losses, st.integers(0, 4), st.integers(1, 999)), max_size=20))
def test_host_and_device_count_alike(batch):
    losses_B = torch.tensor([loss for loss, _, _ in batch])
    ids_B = torch.tensor([group for _, group, _ in batch], dtype=torch.int64)
    given_ = {totals.LABELS: torch.tensor([length for *_, length in batch], dtype=torch.int64)}
    torch.testing.assert_close(
        sum_on_host(losses_B, ids_B, 5, given_), sum_on_device(losses_B, ids_B, 5, given_)
    )


def test_an_empty_batch_adds_nothing():
    assert not sum_by_group(torch.zeros(0), torch.zeros(0, dtype=torch.int64), 3).any()


def test_the_sums_carry_no_gradient():
    assert not sum_by_group(
        torch.ones(2, requires_grad=True), torch.tensor([0, 1]), 2
    ).requires_grad


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_group_id_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=r"outside 0\.\.2"):
        sum_by_group(torch.ones(2), torch.tensor([0, wrong]), 3)


def test_losses_and_ids_of_different_length_are_refused():
    with pytest.raises(UserError, match="one length"):
        sum_by_group(torch.ones(3), torch.tensor([0, 1]), 2)
