"""Depthwise convolution by Fourier transform against torch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.nets import depthwise
from asr_dro_plugin.nets.depthwise import depthwise_conv, transform_size


def one_by_one(x, weight, lengths, dilation):
    """Torch's convolution of each utterance."""
    reach = dilation * (weight.shape[1] // 2)
    done = [
        torch.nn.functional.conv1d(
            part, weight[:, None], padding=reach, dilation=dilation, groups=len(weight)
        )
        for part in x.split(lengths, dim=1)
    ]
    return torch.cat(done, dim=1)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    reach=st.integers(0, 20),
    dilation=st.integers(1, 3),
    channels=st.integers(1, 5),
    cache=st.sampled_from([1, 1 << 12, 1 << 21]),
)
def test_values_and_gradients_are_torchs(lengths, reach, dilation, channels, cache):
    generator = torch.Generator().manual_seed(sum(lengths))
    shape = {"generator": generator, "dtype": torch.float64}
    x = torch.randn(channels, sum(lengths), **shape).requires_grad_()
    weight = torch.randn(channels, 2 * reach + 1, **shape).requires_grad_()
    slope = torch.randn(channels, sum(lengths), **shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise, "CACHE", cache)
        ours = depthwise_conv(x, weight, lengths, dilation)
        found = torch.autograd.grad(ours, (x, weight), slope)
    theirs = one_by_one(x, weight, lengths, dilation)
    expected = torch.autograd.grad(theirs, (x, weight), slope)
    for left, right in zip((ours, *found), (theirs, *expected), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("taps", [33, 87])
def test_single_precision_is_enough(taps):
    torch.manual_seed(0)
    x = torch.randn(64, 600, requires_grad=True)
    weight = (torch.randn(64, taps) / taps**0.5).requires_grad_()
    lengths, slope = [400, 200], torch.randn(64, 600)
    ours, theirs = (f(x, weight, lengths, 1) for f in (depthwise_conv, one_by_one))
    assert (ours - theirs).abs().max() < 1e-5
    for left, right in zip(
        torch.autograd.grad(ours, (x, weight), slope),
        torch.autograd.grad(theirs, (x, weight), slope),
        strict=True,
    ):
        assert (left - right).abs().max() < 1e-5 * right.abs().max()


def test_a_frozen_side_gets_no_gradient():
    x, weight = torch.randn(3, 20), torch.randn(3, 5)
    depthwise_conv(x, weight.requires_grad_(), [20], 1).sum().backward()
    assert weight.grad is not None and x.grad is None
    weight = weight.detach()
    depthwise_conv(x.requires_grad_(), weight, [20], 1).sum().backward()
    torch.testing.assert_close(
        x.grad,
        torch.autograd.grad(one_by_one(x, weight, [20], 1).sum(), x)[0],
        rtol=1e-4,
        atol=1e-5,
    )


@given(st.integers(1, 5000))
def test_the_transform_has_room_and_is_not_much_longer(frames):
    size = transform_size(frames)
    assert frames <= size <= 1.25 * frames + 32 and size % 32 == 0
