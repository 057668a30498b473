"""Convolutions as matrix products: the modules' own numbers and gradients, frozen or trained."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asr_dro_plugin.nets import conv_features
from asr_dro_plugin.nets.conv_features import StridedProduct, fits

transformers = pytest.importorskip("transformers")
NORMS = ("layer", "group")


def extractor(norm, **changes):
    conf = {"conv_dim": [12] * 7, "hidden_size": 16, "num_hidden_layers": 1, **changes}
    conf |= {"num_attention_heads": 2, "num_conv_pos_embedding_groups": 4, "intermediate_size": 8}
    config = transformers.Wav2Vec2Config(
        feat_extract_norm=norm, conv_bias=norm == "layer", **conf
    )  # fmt: skip
    torch.manual_seed(0)
    made = transformers.Wav2Vec2Model(config).feature_extractor
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.fixture(params=NORMS)
def cnn(request):
    return extractor(request.param)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("num_samples", [400, 719, 720, 1000, 16000, 40123])
def test_features_are_the_modules(cnn, frozen, num_samples):
    cnn.requires_grad_(not frozen)
    speech = torch.randn(2, num_samples)
    ours = conv_features.conv_features(cnn, speech, torch.full((2,), num_samples))
    with torch.no_grad():
        theirs = cnn(speech).transpose(1, 2)
    assert ours.shape == theirs.shape and ours.requires_grad == (not frozen)
    assert (ours - theirs).abs().max() < 1e-5


def test_pieces_leave_no_seams(cnn, monkeypatch):
    cnn.requires_grad_(False)
    speech, lengths = torch.randn(3, 12345), torch.tensor([12345, 9000, 401])
    found = []
    for frames in (1, 7, 100):
        monkeypatch.setattr(conv_features, "PIECE", frames * 12)
        found.append(conv_features.conv_features(cnn, speech, lengths))
    assert all((other - found[0]).abs().max() < 1e-5 for other in found[1:])


def test_gradients_are_the_modules(cnn):
    speech, weights = torch.randn(2, 4567), torch.randn(2, 14, 12)
    cnn.train()
    (conv_features.conv_features(cnn, speech, torch.full((2,), 4567)) * weights).sum().backward()
    ours = [p.grad.clone() for p in cnn.parameters()]
    cnn.zero_grad()
    (cnn(speech).transpose(1, 2) * weights).sum().backward()
    for mine, parameter in zip(ours, cnn.parameters(), strict=True):
        assert torch.allclose(mine, parameter.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_group_norm_sees_an_utterances_own_frames_alone(frozen):
    cnn = extractor("group").requires_grad_(not frozen)
    speech, lengths = torch.randn(2, 9000), torch.tensor([9000, 5000])
    speech[1, 5000:] = 100.0
    together = conv_features.conv_features(cnn, speech, lengths)
    with torch.no_grad():
        alone = cnn(speech[1:, :5000]).transpose(1, 2)
    assert (together[1, : alone.shape[1]] - alone[0]).abs().max() < 1e-5


@settings(max_examples=30, deadline=None)
@given(
    stride=st.integers(1, 5), extra=st.integers(0, 5), channels=st.integers(1, 40),
    num_out=st.integers(1, 4), bias=st.booleans(),
)  # fmt: skip
def test_a_strided_convolution_is_torchs(stride, extra, channels, num_out, bias):
    kernel = stride + min(extra, stride)
    torch.manual_seed(0)
    conv = nn.Conv1d(channels, num_out, kernel, stride, bias=bias).double()
    x = torch.randn(stride * 9, channels, dtype=torch.float64, requires_grad=True)
    ours = StridedProduct.apply(x, conv_features.rows_of(conv), conv.bias, stride)
    theirs = conv(x.T[None])[0].T
    ours = ours[: len(theirs)]
    assert torch.allclose(ours, theirs, atol=1e-10)
    weights = torch.randn_like(theirs)
    found, wanted = (
        torch.autograd.grad((out * weights).sum(), [x, *conv.parameters()])
        for out in (ours, theirs)
    )
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(found, wanted, strict=True))


def test_what_does_not_fit_is_left_to_the_modules(cnn):
    assert fits(cnn, torch.randn(1, 500))
    assert not fits(cnn, torch.randn(1, 500).double())
    assert not fits(cnn, torch.randn(1, 500, device="meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fits(cnn, torch.randn(1, 500))
    cnn.conv_layers[0].conv.register_forward_hook(lambda *_: None)
    assert not fits(cnn, torch.randn(1, 500))
    assert not fits(extractor("layer", conv_kernel=[11, 3, 3, 3, 3, 2, 2]), torch.randn(1, 500))
    assert not fits(extractor("layer", feat_extract_activation="relu"), torch.randn(1, 500))


@pytest.mark.parametrize("model_type", ["hubert", "wavlm"])
def test_the_other_models_extractors_fit_too(model_type):
    conf = {"conv_dim": [12] * 7, "hidden_size": 16, "num_hidden_layers": 1}
    conf |= {"num_attention_heads": 2, "num_conv_pos_embedding_groups": 4, "intermediate_size": 8}
    config = transformers.AutoConfig.for_model(model_type, **conf)
    cnn = transformers.AutoModel.from_config(config).feature_extractor
    speech = torch.randn(1, 2000)
    assert fits(cnn, speech)
    ours = conv_features.conv_features(cnn, speech, torch.tensor([2000]))
    assert (ours - cnn(speech).transpose(1, 2)).abs().max() < 1e-5
