"""LoRA and bottleneck adapters: at first nothing; then W + alpha / rank B A, and a layer behind."""

import copy
import re
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError, how_to_install
from asr_dro_plugin.experiment.adapter_files import merged_state
from asr_dro_plugin.nets.adapters import HoulsbyAdapter, add_houlsby, add_lora, merge_lora


class Net(torch.nn.Module):
    """Two layers, of which one is adapted."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.ModuleDict({"a": torch.nn.Linear(5, 7), "b": torch.nn.Linear(7, 3)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner["b"](self.inner["a"](x))


@pytest.fixture
def adapted():
    """(network before, the same with adapters that have learned, x)."""
    torch.manual_seed(0)
    before, net = Net(), Net()
    net.load_state_dict(before.state_dict())
    add_lora(net, ["inner.a"], rank=2, alpha=6)
    return before, net, torch.randn(4, 5)


def learned(net):
    with torch.no_grad():
        net.inner["a"].lora_B["default"].weight.normal_()
    return net


def test_at_first_the_output_is_that_of_the_network_alone(adapted):
    before, net, x = adapted
    assert torch.equal(net(x), before(x))


def test_the_weight_is_w_plus_alpha_over_rank_times_b_a(adapted):
    before, net, x = adapted
    layer = learned(net).inner["a"]
    change = 6 / 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    expected = before.inner["b"](before.inner["a"](x) + x @ change.T)
    torch.testing.assert_close(net(x), expected)


def test_merged_the_network_computes_the_same_under_its_first_names(adapted):
    before, net, x = adapted
    expected, state = learned(net)(x), net.state_dict()
    before.load_state_dict(merged_state(state, alpha=6))
    torch.testing.assert_close(before(x), expected)
    merge_lora(net)
    assert list(net.state_dict()) == list(before.state_dict())
    torch.testing.assert_close(net(x), expected)


def test_an_adapter_without_its_weight_cannot_be_merged(adapted):
    _, net, _ = adapted
    state = {name: value for name, value in net.state_dict().items() if "base_layer" not in name}
    with pytest.raises(UserError, match="inner.a has an adapter but no weight of its own"):
        merged_state(state, alpha=6)


def test_without_peft_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)  # as if it were not installed
    with pytest.raises(UserError, match=re.escape(how_to_install("ssl"))):
        add_lora(Net(), ["inner.a"], rank=2, alpha=6)


class Pair(torch.nn.Module):
    """Gives a tuple, as transformers' attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
        return self.linear(x), "weights"


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 12), bottleneck=st.integers(1, 12))
def test_an_adapter_has_as_many_parameters_as_the_formula_says(size, bottleneck):
    adapter = HoulsbyAdapter(size, bottleneck)
    found = sum(parameter.numel() for parameter in adapter.parameters())
    assert found == 2 * size * bottleneck + bottleneck + size


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_at_first_the_output_is_that_of_the_module_alone(activation):
    module, x = torch.nn.Linear(6, 6), torch.randn(2, 3, 6)
    before = module(x)
    add_houlsby([module], 6, 2, activation)
    assert torch.equal(module(x), before)


def test_the_adapter_is_behind_the_module_with_a_residual_connection():
    module, x = Pair(), torch.randn(2, 3, 6)
    before, word = module(x)
    add_houlsby([module], 6, 2, "relu")
    torch.nn.init.normal_(module.houlsby.up.weight)
    after, still = module(x)
    down = torch.relu(before @ module.houlsby.down.weight.T)
    assert torch.allclose(after, before + down @ module.houlsby.up.weight.T, atol=1e-6)
    assert still == word == "weights"


def test_names_and_values_of_the_module_stay():
    module = torch.nn.Linear(6, 6)
    before = copy.deepcopy(module.state_dict())
    add_houlsby([module], 6, 2)
    after = module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(name.startswith("houlsby.") for name in after.keys() - before.keys())


def test_a_copy_has_adapters_of_its_own():
    module = torch.nn.Linear(6, 6)
    add_houlsby([module], 6, 2)
    twin = copy.deepcopy(module)
    torch.nn.init.normal_(twin.houlsby.up.weight)
    x = torch.randn(1, 6)
    assert not torch.equal(twin(x), module(x))


def test_the_adapter_has_the_precision_of_its_module():
    module = torch.nn.Linear(6, 6).double()
    add_houlsby([module], 6, 2)
    assert module(torch.randn(1, 6, dtype=torch.float64)).dtype == torch.float64


def test_both_matrices_learn_from_the_second_step_on():
    module = torch.nn.Linear(6, 6).requires_grad_(False)
    add_houlsby([module], 6, 2)
    optimizer = torch.optim.SGD(module.houlsby.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        (module(torch.randn(4, 6)) ** 2).sum().backward()
        optimizer.step()
    lacking = [n for n, p in module.houlsby.named_parameters() if not p.grad.any()]
    assert not lacking
