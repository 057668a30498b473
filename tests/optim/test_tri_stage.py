"""The tri-stage rate is fairseq's formula, at its corners and between them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.optim.schedules import TriStage, steps_of_ratios, tri_stage_scale


def rates(num: int, **conf) -> list[float]:
    """Learning rates of ``num`` updates with a peak of 2."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    scheduler = TriStage(optimizer, **conf)
    found = []
    for _ in range(num):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_the_corners_are_those_of_the_formula():
    found = rates(1201, max_steps=1000)  # .1, .4, .5; .01 and .05
    assert found[0] == pytest.approx(2 * 0.01)
    assert found[50] == pytest.approx(2 * (0.01 + 0.99 * 0.5))
    assert found[100] == found[300] == found[500] == 2
    assert found[750] == pytest.approx(2 * math.sqrt(0.05))  # the middle of the decay
    assert found[750] == pytest.approx(2 * math.exp(math.log(0.05) / 500 * 250))
    assert found[1000] == found[1200] == pytest.approx(2 * 0.05)


def test_phases_in_steps_are_those_in_ratios():
    steps = {"warmup_steps": 10, "hold_steps": 40, "decay_steps": 50}
    assert rates(120, **steps) == rates(120, max_steps=100)


def test_a_resumed_scheduler_goes_on_where_it_was():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=2.0)
    scheduler = TriStage(optimizer, max_steps=20)
    for _ in range(13):
        optimizer.step()
        scheduler.step()
    other = torch.optim.SGD([parameter], lr=2.0)
    resumed = TriStage(other, max_steps=20)
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    for each, its in ((scheduler, optimizer), (resumed, other)):
        its.step()
        each.step()
    expected = rates(15, max_steps=20)[14]
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] == expected


SCALES = st.floats(0.001, 1)


@given(st.tuples(*[st.integers(0, 50)] * 3), SCALES, SCALES, st.integers(0, 200))
def test_the_rate_stays_between_its_ends_and_its_peak(steps, init, final, step):
    scale = tri_stage_scale(step, steps, init, final)
    assert min(init, final) - 1e-12 <= scale <= 1
    if step >= sum(steps) + 1:
        assert scale == final


@given(st.integers(1, 100_000), st.floats(0, 1), st.floats(0, 1))
def test_the_phases_fill_the_training(max_steps, warmup, rest):
    hold = (1 - warmup) * rest
    steps = steps_of_ratios(max_steps, (warmup, hold, max(0.0, 1 - warmup - hold)))
    assert sum(steps) == max_steps


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({}, "needs scheduler_conf.max_steps, or all of"),
        ({"max_steps": 10, "warmup_steps": 1, "hold_steps": 1, "decay_steps": 1}, "not both"),
        ({"max_steps": 10, "warmup_steps": 1}, "not both"),
        ({"warmup_steps": 1, "hold_steps": 1}, "or all of"),
        ({"max_steps": 10, "warmup_ratio": 0.3}, "must sum to 1"),
        ({"max_steps": 10, "warmup_ratio": -0.1, "hold_ratio": 0.6}, "must not be negative"),
        ({"max_steps": 10, "final_lr_scale": 0.0}, "final_lr_scale 0.0 must be above 0"),
    ],
)
def test_phases_that_make_no_sense_are_refused(conf, words):
    with pytest.raises(UserError, match=words):
        rates(1, **conf)
