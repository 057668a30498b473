"""The position convolution by Fourier transforms: torch's numbers and gradients."""

import pytest
import torch
from torch import nn

from asr_dro_plugin.nets.position_conv import fits, position_conv


def conv_of(kernel=64, width=64, groups=4):
    torch.manual_seed(0)
    conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=groups)
    return nn.utils.parametrizations.weight_norm(conv, name="weight", dim=2)


@pytest.mark.parametrize("kernel", [32, 33, 64, 128])
@pytest.mark.parametrize("length", [1, 2, 40, 65, 129, 300])
def test_it_is_the_convolution_with_its_gradients(kernel, length):
    conv, found = conv_of(kernel), []
    given, weights = torch.randn(2, 2, length, 64)
    for work in (
        lambda x: conv(x.transpose(1, 2))[..., :length].transpose(1, 2),
        lambda x: position_conv(conv, x),
    ):
        x = given.clone().requires_grad_()
        conv.zero_grad()
        out = work(x)
        (out * weights).sum().backward()
        found.append([out.detach(), x.grad, *(p.grad.clone() for p in conv.parameters())])
    for theirs, ours in zip(*found, strict=True):
        assert (theirs - ours).abs().max() <= 1e-5 * max(theirs.abs().max(), 1)


def test_it_is_used_where_it_is_faster_and_fits():
    x = torch.randn(1, 9, 64)
    assert fits(conv_of(), x)
    assert not fits(conv_of(kernel=16), x)
    assert not fits(conv_of(groups=16), x)
    assert not fits(conv_of(), x.double())
    assert not fits(nn.Conv1d(64, 64, 64, padding=3), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fits(conv_of(), x)
    hooked = conv_of()
    hooked.register_forward_hook(lambda *_: None)
    assert not fits(hooked, x)


def test_a_network_with_a_long_kernel_computes_what_transformers_computes():
    transformers = pytest.importorskip("transformers")
    from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net

    sizes = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 8, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 128,
             "num_conv_pos_embedding_groups": 4}  # fmt: skip
    assert transformers
    for model_type in ("wav2vec2", "hubert", "wavlm"):
        net = HFWav2Vec2Net({"model_type": model_type, **sizes}, do_normalize=False).eval()
        speech = torch.randn(2, 90000, generator=torch.Generator().manual_seed(0))
        lengths = torch.tensor([90000, 20000])
        with torch.no_grad():
            theirs = net.model(speech[1:, :20000]).last_hidden_state
            alone, _ = net(speech[1:, :20000], lengths[1:])
            together, _ = net(speech, lengths)
        assert (alone - theirs).abs().max() < 1e-4
        assert (together[1:, : alone.shape[1]] - alone).abs().max() < 1e-5
