"""One tiny wav2vec 2.0 in three layouts, through the real s3prl frontend and fairseq encoder."""

import pytest
import torch

from asr_dro_plugin.compat.fairseq import import_fairseq
from asr_dro_plugin.pretrained.layouts import inspect_checkpoint
from asr_dro_plugin.stack.use_checkpoint import apply_to_config

pytest_plugins = ["tests.fixtures_ssl"]
SECOND = 16000


def build(config):
    """ESPnet's frontend or encoder for ``config``, as our task builds it, in evaluation mode."""
    from asr_dro_plugin.espnet.parts.ssl import PreparedS3prlFrontend, PreparedWav2Vec2Encoder

    if config.get("frontend") == "s3prl":
        return PreparedS3prlFrontend(fs="16k", **config["frontend_conf"]).eval()
    return PreparedWav2Vec2Encoder(input_size=1, **config["encoder_conf"]).eval()


def s3prl_config(path):
    config = {"frontend": "s3prl", "frontend_conf": {"multilayer_feature": True}}
    return apply_to_config(config, inspect_checkpoint(path))


def fairseq_config(path):
    return apply_to_config({"encoder": "wav2vec2"}, inspect_checkpoint(path))


@pytest.fixture(scope="module", params=["stable", "base"])
def tiny(request, make_tiny_ssl):
    return make_tiny_ssl(variant=request.param)


@pytest.fixture(scope="module")
def built(tiny):
    """(hf frontend, s3prl frontend, fairseq encoder) of one model."""
    frontends = [build(s3prl_config(path)) for path in (tiny.hf, tiny.s3prl)]
    return *frontends, build(fairseq_config(tiny.fairseq))


def unit_speech(num_samples, seed=0):
    """(1, num_samples) of zero mean and unit variance: what normalisation leaves as it is."""
    speech = torch.randn(1, num_samples, generator=torch.Generator().manual_seed(seed))
    return (speech - speech.mean()) / speech.std(unbiased=False)


@torch.no_grad()
def test_the_three_layouts_give_the_same_hidden_states(built):
    hf, s3prl, fairseq = built
    speech, lengths = unit_speech(SECOND), torch.tensor([SECOND])
    states_hf, lengths_hf = hf.upstream(speech, lengths)
    states_s3prl, _ = s3prl.upstream(speech, lengths)
    out, out_lens, _ = fairseq(speech.clone(), lengths)
    inner = fairseq.encoders(speech, None, mask=False, features_only=True)["layer_results"]
    assert len(states_hf) == len(states_s3prl) == 3  # two layers and what goes into them
    assert int(lengths_hf[0]) == 50 and int(out_lens) == 49
    for state_hf, state_s3prl in zip(states_hf, states_s3prl):
        assert torch.allclose(state_hf, state_s3prl, atol=1e-4)
    assert torch.allclose(states_hf[1][:, :49], inner[0][0].transpose(0, 1), atol=1e-4)
    assert torch.allclose(states_hf[-1][:, :49], out, atol=1e-4)
    assert out.std() > 0.1  # and they are not all zero


@torch.no_grad()
def test_the_layouts_agree_on_a_padded_batch_of_layer_norm_models(built, tiny):
    if "layer_norm" not in torch.load(tiny.s3prl)["model_cfg"]["extractor_mode"]:
        pytest.skip("a group norm over time sees the padding, in every implementation")
    lengths = torch.tensor([SECOND, SECOND // 2])
    speech = torch.zeros(2, SECOND)
    speech[0], speech[1, : SECOND // 2] = unit_speech(SECOND), unit_speech(SECOND // 2, 1)
    states = [frontend(speech, lengths)[0] for frontend in built[:2]]
    assert torch.allclose(states[0][0], states[1][0], atol=1e-4)
    assert torch.allclose(states[0][1, :24], states[1][1, :24], atol=1e-4)


def test_gradients_reach_the_layer_weights_and_the_model(built):
    for frontend in built[:2]:
        frontend.train()
        features, _ = frontend(unit_speech(SECOND), torch.tensor([SECOND]))
        features.pow(2).mean().backward()
        weights = frontend.featurizer.weights
        assert weights.shape == (3,) and weights.grad.abs().sum() > 0
        assert torch.softmax(weights, 0).sum().item() == pytest.approx(1.0)
        assert any(p.grad is not None for p in frontend.upstream.parameters())
        frontend.eval().zero_grad()


def test_the_fairseq_encoder_masks_and_learns_on_very_short_speech(built):
    encoder = built[2].train()
    for num_samples in (400, 1000, 3200):
        out, _, _ = encoder(unit_speech(num_samples), torch.tensor([num_samples]))
        assert torch.isfinite(out).all()
    encoder.eval()


def test_fairseq_is_installed_in_one_process_with_s3prl_and_espnet(built):
    assert import_fairseq().__version__
