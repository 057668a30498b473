"""NovoGrad is the algorithm of its paper."""

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.optim.novograd import NovoGrad


def test_two_steps_by_hand():
    parameter = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = NovoGrad([parameter], lr=0.1, betas=(0.8, 0.25), eps=0.0, weight_decay=0.01)
    parameter.grad = torch.tensor([3.0, 4.0])
    optimizer.step()
    # v = 25; m = g / 5 + 0.01 w = (0.61, 0.82); w - 0.1 m
    assert parameter.tolist() == pytest.approx([0.939, 1.918])
    parameter.grad = torch.tensor([0.0, 10.0])
    optimizer.step()
    # v = 0.25 * 25 + 0.75 * 100 = 81.25; m = 0.8 m + g / sqrt(v) + 0.01 w
    root = 81.25**0.5
    moments = (0.8 * 0.61 + 0.00939, 0.8 * 0.82 + 10 / root + 0.01918)
    expected = [0.939 - 0.1 * moments[0], 1.918 - 0.1 * moments[1]]
    assert parameter.tolist() == pytest.approx(expected)


def test_averaging_weighs_the_first_step_too():
    parameter = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = NovoGrad([parameter], lr=1.0, betas=(0.75, 0.5), grad_averaging=True)
    parameter.grad = torch.tensor([7.0])
    optimizer.step()
    assert parameter.item() == pytest.approx(3 - 0.25)


def test_the_scale_of_a_gradient_does_not_matter_and_a_missing_one_changes_nothing():
    ends = []
    for scale in (1.0, 1000.0):
        moved, still = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
        optimizer = NovoGrad([moved, still], lr=0.1)
        for step in range(3):
            moved.grad = scale * torch.tensor([1.0, 2.0, step])
            optimizer.step()
        assert torch.equal(still, torch.ones(3))
        ends.append(moved.detach())
    assert torch.allclose(*ends)


def test_a_zero_gradient_gives_no_nan():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = NovoGrad([parameter], lr=0.1)
    parameter.grad = torch.zeros(2)
    optimizer.step()
    assert parameter.tolist() == [1, 1]


def test_a_resumed_optimizer_goes_on_bit_for_bit():
    def run(optimizer, parameter, steps):
        for step in steps:
            parameter.grad = torch.sin(torch.arange(4.0) + step)
            optimizer.step()

    straight = torch.nn.Parameter(torch.ones(4))
    run(NovoGrad([straight], lr=0.1, weight_decay=0.1), straight, range(6))
    half = torch.nn.Parameter(torch.ones(4))
    first = NovoGrad([half], lr=0.1, weight_decay=0.1)
    run(first, half, range(3))
    second = NovoGrad([half], lr=0.5)
    second.load_state_dict(first.state_dict())
    run(second, half, range(3, 6))
    assert torch.equal(straight, half)


def test_it_fits_a_line():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 3, generator=generator)
    targets = inputs @ torch.tensor([1.0, -2.0, 0.5])
    weights = torch.nn.Parameter(torch.zeros(3))
    optimizer = NovoGrad([weights], lr=0.01, betas=(0.8, 0.25))
    for _ in range(500):
        optimizer.zero_grad()
        loss = (inputs @ weights - targets).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.01


@pytest.mark.parametrize("conf", [{"lr": -1.0}, {"betas": (0.9, 1.0)}, {"weight_decay": -0.1}])
def test_values_outside_their_range_are_refused(conf):
    with pytest.raises(UserError, match="novograd"):
        NovoGrad([torch.nn.Parameter(torch.zeros(1))], **conf)
