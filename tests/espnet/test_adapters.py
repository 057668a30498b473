"""Adapters learn beside a pretrained model that stands still; their files hold nothing else."""

import argparse
import logging
import shutil

import pytest
import torch

from asr_dro_plugin.errors import UserError
from tests.espnet.conftest import arguments, write_config

pytest_plugins = ["tests.fixtures_ssl"]

LORA = {"rank": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]}
HOULSBY = {"bottleneck": 4}
KINDS = {"lora": LORA, "houlsby": HOULSBY}
# 2 layers, 16 wide: rank x (in + out) of two matrices each; 2 D K + K + D behind two sub-layers.
NUM_ADDED = {"lora": 2 * 2 * 4 * (16 + 16), "houlsby": 2 * 2 * (2 * 16 * 4 + 4 + 16)}
TOKENS = ["<blank>", "<unk>", "a", "b", "<sos/eos>"]
HEAD = {"ctc.ctc_lo.weight", "ctc.ctc_lo.bias"}
MASK = "encoder.net.model.masked_spec_embed"


def stack(ssl, adapter="lora", **changes):
    """Keys of a YAML: raw speech into the tiny model, adapters, CTC."""
    conf = {
        "frontend": "none", "normalize": "none", "encoder": "hf_wav2vec2",
        "encoder_conf": {"mask_time_prob": 0.0}, "ssl_checkpoint": str(ssl), "use_adapter": True,
        "adapter": adapter, "adapter_conf": KINDS[adapter], "save_strategy": "adapter_only",
    }  # fmt: skip
    return {**conf, **changes}


def s3prl_stack(ssl, adapter="lora", **changes):
    """The same model through the s3prl frontend, nothing but CTC behind it."""
    front = {"frontend": "s3prl", "frontend_conf": {}, "encoder": "identity", "encoder_conf": {}}
    return stack(ssl, adapter, **{**front, **changes})


def build(task, **conf):
    """A model as training begins with it."""
    args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **conf})
    args.token_list, args.model_conf, args.decoder = TOKENS, {"ctc_weight": 1.0}, None
    args.frontend = None if args.frontend == "none" else args.frontend
    args.normalize = None if args.normalize == "none" else args.normalize
    torch.manual_seed(0)
    return task.build_model(args), args


def learning(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def log_probs(model, seed=0):
    speech = torch.randn(2, 8000, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        encoded = model.eval().encode(speech, torch.tensor([8000, 8000]))[0]
        return model.ctc.log_softmax(encoded)


def stir(model):
    """As if the adapters had learned something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in model.adapters.added:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("make", [stack, s3prl_stack], ids=["hf_wav2vec2", "s3prl"])
@pytest.mark.parametrize("adapter", KINDS)
def test_what_learns_is_as_much_as_the_formula_says(task, tiny_ssl, caplog, adapter, make):
    with caplog.at_level(logging.INFO):
        model, _ = build(task, **make(tiny_ssl.hf, adapter))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(sizes[name] for name in model.adapters.added) == NUM_ADDED[adapter]
    outside = {name for name in sizes if not name.startswith(("encoder.", "frontend.upstream."))}
    assert learning(model) == model.adapters.added | outside
    total = sum(sizes[name] for name in learning(model))
    assert f"{total:,} of {sum(sizes.values()):,} parameters learn" in caplog.text


@pytest.mark.parametrize("adapter", KINDS)
def test_at_first_the_model_computes_what_the_pretrained_one_does(task, tiny_ssl, adapter):
    plain, _ = build(task, **stack(tiny_ssl.hf, use_adapter=False))
    adapted, _ = build(task, **stack(tiny_ssl.hf, adapter))
    assert torch.equal(log_probs(adapted), log_probs(plain))


@pytest.mark.parametrize("make", [stack, s3prl_stack], ids=["hf_wav2vec2", "s3prl"])
@pytest.mark.parametrize("target", ["q_proj", "k_proj", "v_proj", "out_proj", "output_dense"])
def test_every_adapted_layer_is_heard(task, tiny_ssl, make, target):
    model, _ = build(task, **make(tiny_ssl.hf, adapter_conf={**LORA, "target_modules": [target]}))
    before = log_probs(model)
    stir(model)
    assert not torch.allclose(log_probs(model), before, atol=1e-4)
