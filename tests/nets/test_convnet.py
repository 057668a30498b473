"""The convolutional network treats an utterance the same alone and in a batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.nets.convnet import ConvNet
from asr_dro_plugin.nets.masks import frame_mask, strided_length


@pytest.fixture(scope="module", params=[True, False], ids=["gates", "no gates"])
def net(request) -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(8, 64, num_blocks=2, kernel_size=5, strides=(2, 2), gates=request.param).eval()


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_padding_changes_nothing(net, lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    batch = torch.randn(len(lengths), max(lengths), 8, generator=generator)
    together, lens = net(batch, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, alone_lens = net(batch[row : row + 1, :length], torch.tensor([length]))
        assert int(alone_lens) == int(lens[row]) == alone.shape[1]
        assert torch.allclose(together[row, : int(alone_lens)], alone[0], atol=1e-5)


@pytest.mark.parametrize("strides", [(1,), (2,), (2, 2), (3, 2), (4, 2)])
def test_output_length_is_the_input_length_divided_by_each_stride_rounded_up(strides):
    net = ConvNet(4, hidden_size=8, num_blocks=1, kernel_size=3, strides=strides).eval()
    for length in range(1, 41):
        out, lens = net(torch.randn(1, length, 4), torch.tensor([length]))
        expected = length
        for stride in strides:
            expected = -(-expected // stride)
        assert out.shape == (1, expected, 8)
        assert int(lens) == expected


def test_every_parameter_gets_a_gradient(net):
    out, _ = net(torch.randn(2, 30, 8), torch.tensor([30, 17]))
    (out * torch.randn_like(out)).sum().backward()  # a plain sum is blind after a norm
    lacking = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not lacking
    net.zero_grad()


def test_what_is_between_the_blocks_is_what_a_network_of_so_many_blocks_gives():
    torch.manual_seed(1)
    net = ConvNet(8, hidden_size=16, num_blocks=3, kernel_size=3, interctc_layer_idx=(1, 2)).eval()
    features, lengths = torch.randn(2, 30, 8), torch.tensor([30, 17])
    out, between, lens = net.layers(features, lengths)
    assert torch.equal(out, net(features, lengths)[0]) and lens.tolist() == [8, 5]
    for number, given_out in between:
        part = ConvNet(8, hidden_size=16, num_blocks=number, kernel_size=3).eval()
        part.load_state_dict(net.state_dict(), strict=False)
        assert torch.equal(given_out, part(features, lengths)[0])
    assert [number for number, _ in between] == [1, 2]


@pytest.mark.parametrize(
    "bad",
    [
        {"kernel_size": 4}, {"strides": ()}, {"strides": (0,)}, {"interctc_layer_idx": (0,)},
        {"interctc_layer_idx": (2, 6)},
    ],
)  # fmt: skip
def test_impossible_shapes_are_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        ConvNet(4, **bad)


def test_frame_mask_marks_exactly_the_valid_frames():
    mask = frame_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[[False] * 3], [[True, True, False]], [[True] * 3]]


def test_strided_length_works_on_numbers_and_tensors():
    assert strided_length(5, 2) == 3
    assert strided_length(torch.tensor([4, 5]), 2).tolist() == [2, 3]
