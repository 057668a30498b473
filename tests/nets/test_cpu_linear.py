"""Wide linear layers through oneDNN: torch's numbers, gradients, names and types."""

import pytest
import torch
from torch import nn

from asr_dro_plugin.nets.cpu_linear import WideLinear, use_wide_linear

PLACES = [(7, 300), (2, 5, 300), (1, 300)]


def pair(bias=True):
    """The same layer as torch's and as ours."""
    torch.manual_seed(0)
    theirs = nn.Linear(300, 256, bias=bias)
    ours = nn.Linear(300, 256, bias=bias)
    ours.load_state_dict(theirs.state_dict())
    use_wide_linear(ours)
    assert type(ours) is WideLinear
    return theirs, ours


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", PLACES)
def test_numbers_and_gradients_are_torchs(shape, bias):
    found = []
    given, weights = torch.randn(shape), torch.randn(*shape[:-1], 256)
    for layer in pair(bias):
        x = given.clone().requires_grad_()
        out = layer(x)
        (out * weights).sum().backward()
        found.append([out.detach(), x.grad, *(p.grad for p in layer.parameters())])
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))


def test_a_gradient_that_is_not_laid_out_in_rows_is_taken():
    found = []
    given = torch.randn(4, 6, 300)
    for layer in pair():
        out = layer(given.transpose(0, 1)).transpose(0, 1)
        out.square().sum().backward()
        found.append(layer.weight.grad)
    assert torch.allclose(*found, rtol=1e-4, atol=1e-3)


def test_what_is_frozen_gets_no_gradient_and_lets_others_through():
    _, layer = pair()
    layer.requires_grad_(False)
    x = torch.randn(3, 300, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None and x.grad is not None


def test_without_gradients_the_numbers_are_those_of_training():
    theirs, ours = pair()
    x = torch.randn(3, 300)
    trained = ours(x)
    with torch.no_grad():
        assert torch.equal(ours(x), trained) and torch.allclose(theirs(x), trained, atol=1e-5)
        assert ours(x[:0]).shape == (0, 256)
    with torch.inference_mode():
        assert torch.equal(ours(x), trained)


def test_other_types_are_torchs_own():
    _, ours = pair()
    x = torch.randn(3, 300)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x).dtype == torch.bfloat16
    assert ours.double()(x.double()).dtype == torch.float64


def test_narrow_layers_and_other_classes_are_left_alone():
    class Own(nn.Linear):
        pass

    network = nn.ModuleDict(
        {"narrow": nn.Linear(300, 8), "own": Own(300, 300), "wide": nn.Linear(256, 256)}
    )
    names = list(network.state_dict())
    use_wide_linear(network)
    assert [type(m) for m in network.values()] == [nn.Linear, Own, WideLinear]
    assert list(network.state_dict()) == names


def test_lora_takes_one_for_a_linear_layer():
    pytest.importorskip("peft")
    from asr_dro_plugin.nets.adapters import add_lora, merge_lora

    network = nn.Sequential(nn.Linear(256, 256))
    use_wide_linear(network)
    add_lora(network, ["0"], rank=2, alpha=2)
    x = torch.randn(3, 256)
    network(x).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()]
    before = network(x).detach()
    merge_lora(network)
    assert torch.allclose(network(x), before, atol=1e-4)
