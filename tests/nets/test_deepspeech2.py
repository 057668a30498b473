"""DeepSpeech 2 is as large as published, and padding enters nothing that it computes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.nets.deepspeech2 import VARIANTS, DeepSpeech2, MaskedBatchNorm, conv_length

TINY = {"hidden_size": 12, "num_layers": 2}
CHANNELS = {"hw2": (3, 4, 5), "sooftware": (3, 4)}


def tiny(variant: str, **changes) -> DeepSpeech2:
    torch.manual_seed(0)
    return DeepSpeech2(40, variant, channels=CHANNELS[variant], **{**TINY, **changes})


@pytest.fixture(scope="module", params=VARIANTS)
def trained(request) -> DeepSpeech2:
    """A tiny net whose running statistics are not those of a new one."""
    net = tiny(request.param)
    for _ in range(3):
        net(torch.randn(3, 30, 40) * 2 + 1, torch.tensor([30, 22, 9]))
    return net.eval()


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_hw2_variant_with_its_head_has_13579868_parameters():
    net, head = DeepSpeech2(128), torch.nn.Linear(512, 28)
    assert net.layers[0].gru.input_size == 1536 and net.output_size == 512
    assert num_parameters(net) + num_parameters(head) == 13_579_868


@pytest.mark.parametrize("bias, more", [(False, 0), (True, 28)])
def test_the_sooftware_variant_is_counted_with_and_without_the_bias_of_our_head(bias, more):
    net = DeepSpeech2(80, "sooftware")
    head = torch.nn.Linear(1024, 28, bias=bias)
    assert net.layers[0].gru.input_size == 640 and net.output_size == 1024
    assert num_parameters(net) + num_parameters(head) == 22_706_656 + 1024 * 28 + more


@pytest.mark.parametrize("name", VARIANTS)
def test_the_length_formula_is_the_real_length_of_every_convolution(name):
    for shape in VARIANTS[name].convolutions:
        conv = torch.nn.Conv2d(1, 1, shape.kernel, shape.stride, shape.padding)
        for length in range(1, 201):
            real = conv(torch.zeros(1, 1, 41, length)).shape[3]
            assert conv_length(length, shape.kernel[1], shape.stride[1], shape.padding[1]) == real


def test_a_net_tells_the_length_that_it_gives(trained):
    for length in range(1, 201, 7):
        out, lengths = trained(torch.randn(1, length, 40), torch.tensor([length]))
        assert out.shape == (1, int(lengths), trained.output_size)


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_padding_changes_nothing(trained, lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    batch = torch.randn(len(lengths), max(lengths), 40, generator=generator)
    together, lens = trained(batch, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, alone_lens = trained(batch[row : row + 1, :length], torch.tensor([length]))
        assert int(alone_lens) == int(lens[row])
        assert torch.allclose(together[row, : int(alone_lens)], alone[0], atol=1e-5)
        assert not together[row, int(alone_lens) :].any()


@pytest.mark.parametrize("name", VARIANTS)
def test_padding_enters_no_statistics_in_training(name):
    features, lengths = torch.randn(2, 24, 40), torch.tensor([24, 15])
    states = []
    for more in (0, 40):
        net = tiny(name, dropout=0.0)
        padded = torch.nn.functional.pad(features, (0, 0, 0, more), value=7.0)
        padded[1, 15:] = 7.0  # what stands behind an utterance's end is anything
        out, _ = net(padded, lengths)
        states.append([out[:, :4], *(buffer.float() for buffer in net.buffers())])
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(*states, strict=True))


def test_masked_batch_norm_is_the_norm_of_the_valid_frames():
    norm = MaskedBatchNorm(3)
    x, mask = torch.randn(2, 3, 4, 5) + 2, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    out = norm(x, mask).permute(0, 3, 1, 2)
    assert not out[~mask].any()
    assert torch.allclose(out[mask].mean(dim=(0, 2)), torch.zeros(3), atol=1e-6)
    assert torch.allclose(out[mask].var(dim=(0, 2), correction=0), torch.ones(3), atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_no_layer_begins_where_another_ended(name):
    """What a second layer gives is what its GRU gives from zero."""
    net = tiny(name, dropout=0.0).eval()
    seen = []
    for layer in net.layers:
        layer.gru.register_forward_hook(lambda _, inputs, out: seen.append((inputs, out)))
    net(torch.randn(1, 20, 40), torch.tensor([20]))
    for layer, (inputs, (out, _)) in zip(net.layers, list(seen), strict=True):
        zeros = torch.zeros(2, 1, TINY["hidden_size"])
        assert torch.equal(layer.gru(inputs[0], zeros)[0].data, out.data)


@pytest.mark.parametrize("name", VARIANTS)
def test_dropout_between_the_layers_acts_in_training_only(name):
    net, given = tiny(name, dropout=0.5), (torch.randn(2, 20, 40), torch.tensor([20, 13]))
    assert not torch.equal(net(*given)[0], net(*given)[0])
    net.eval()
    assert torch.equal(net(*given)[0], net(*given)[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_gets_a_gradient(name):
    net = tiny(name)
    out, _ = net(torch.randn(3, 40, 40), torch.tensor([40, 31, 8]))
    (out * torch.randn_like(out)).sum().backward()
    # A batch norm takes a convolution's bias off again: what reaches the bias is rounding.
    lacking = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [n for n in lacking if not n.endswith("conv.bias")]


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"variant": "hw3"}, "hw2, sooftware"),
        ({"channels": (4, 4)}, "must be 3"),
        ({"input_size": 20}, "must be at least 40"),
    ],
)
def test_impossible_shapes_are_refused(bad, words):
    with pytest.raises(ValueError, match=words):
        DeepSpeech2(**{"input_size": 40, **bad})
