"""LoRA on linear layers: at first nothing, then W + alpha / rank B A."""

import sys

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.adapter_files import merged_state
from asr_dro_plugin.nets.lora import add_lora, merge_lora


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
    with pytest.raises(UserError, match="adapter lora needs peft.*asr-dro.ssl."):
        add_lora(Net(), ["inner.a"], rank=2, alpha=6)
