"""The cosine with warm-up is the product of its two factors."""

import math

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.optim.schedules import WarmupCosine


def rates(num: int, **conf) -> list[float]:
    """Learning rates of ``num`` updates with a peak of 0.05."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    scheduler = WarmupCosine(optimizer, **conf)
    found = []
    for _ in range(num):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_the_rate_at_0_250_500_and_the_end_is_the_formulas():
    found = rates(2101, max_steps=2000)

    def cosine(step):
        return (1 + math.cos(math.pi * step / 2000)) / 2

    assert found[0] == pytest.approx(0.05 * 0.1)
    assert found[250] == pytest.approx(0.05 * 0.55 * cosine(250))
    assert found[500] == pytest.approx(0.05 * cosine(500))
    assert found[2000] == found[2100] == pytest.approx(0, abs=1e-12)


def test_it_is_torchs_linear_times_torchs_cosine():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    linear = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=50)
    cosine = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(cosine, T_max=200)
    expected = []
    for _ in range(200):
        expected.append(optimizer.param_groups[0]["lr"] * cosine.param_groups[0]["lr"])
        for each, scheduler in ((optimizer, linear), (cosine, annealing)):
            each.step()
            scheduler.step()
    assert rates(200, max_steps=200, warmup_steps=50) == pytest.approx(expected)


def test_without_a_warm_up_it_begins_at_the_peak_and_ends_where_it_is_told():
    found = rates(11, max_steps=10, warmup_steps=0, final_lr_scale=0.2)
    assert found[0] == 0.05
    assert found[10] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"max_steps": 500}, "warmup_steps 500 must be at least 0 and less than max_steps 500"),
        ({"max_steps": 9, "warmup_steps": 1, "init_lr_scale": 2.0}, "must lie in 0..1"),
    ],
)
def test_what_makes_no_sense_is_refused(conf, words):
    with pytest.raises(UserError, match=words):
        rates(1, **conf)
