"""The layer table names every parameter once, and says of layers that are alike how many."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.stack.layers import layer_lines, layers_of


def total(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(5)], torch.nn.Linear(3, 2)),
        torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 3),
        torch.nn.GRU(3, 4, bidirectional=True),
        torch.nn.ReLU(),
    ],
    ids=["linear", "transformer", "gru", "none"],
)
def test_all_parameters_are_counted_once(module):
    assert sum(layer.num_parameters for layer in layers_of(module)) == total(module)


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 3, 5])), min_size=1, max_size=8))
@settings(deadline=None, max_examples=40)
def test_whatever_the_layers_they_add_up(shapes):
    module = torch.nn.Sequential(*[torch.nn.Conv1d(2, n, k) for n, k in shapes])
    layers = list(layers_of(module))
    assert sum(layer.num_parameters for layer in layers) == total(module)
    assert sum(layer.times for layer in layers) == len(shapes)


def test_what_is_alike_shares_a_line():
    alike = [torch.nn.Conv1d(4, 4, 3, dilation=2, groups=4) for _ in range(3)]
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 4, 3, stride=2), *alike)
    first, rest = layers_of(module)
    assert (first.name, first.kind, first.times) == ("0", "Conv1d kernel 3 stride 2", 1)
    assert (rest.name, rest.times) == ("1-3", 3)
    assert rest.kind == "Conv1d kernel 3 dilation 2 groups 4"
    assert rest.shapes == {"weight": (4, 1, 3), "bias": (4,)}


def test_what_differs_in_a_setting_does_not():
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 4, 3), torch.nn.Conv1d(4, 4, 3, dilation=2))
    assert [layer.name for layer in layers_of(module)] == ["0", "1"]


def test_named_layers_keep_their_names():
    module = torch.nn.ModuleDict({"left": torch.nn.Linear(2, 2), "right": torch.nn.Linear(2, 2)})
    assert [layer.name for layer in layers_of(module)] == ["left", "right"]


def test_the_text_says_shapes_in_few_words():
    lines = layer_lines(list(layers_of(torch.nn.GRU(3, 4, bidirectional=True))))
    assert (
        lines[2]
        .split(maxsplit=2)[2]
        .startswith("weight_ih_l0 12 x 3, weight_hh_l0 12 x 4, bias, both directions")
    )
    assert lines[-1].split() == ["total", "216"]
