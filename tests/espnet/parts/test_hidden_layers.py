"""Frontend ``hf_whisper``: from speech and from hidden states that were kept."""

import argparse

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.hf_folders import read_weights
from tests.espnet.tiny import TOKENS

pytest_plugins = ["tests.fixtures_whisper"]
pytestmark = pytest.mark.usefixtures("one_thread")

STACK = {
    "frontend": "hf_whisper", "normalize": "utterance_mvn", "encoder": "identity",
    "decoder": None, "model": "dro", "model_conf": {"ctc_weight": 1.0}, "token_list": TOKENS,
}  # fmt: skip


@pytest.fixture(scope="module")
def build(task, tiny_whisper):
    """Function of changes to the stack that gives a model with the tiny Whisper's weights."""

    def built(**changes):
        given = {**STACK, "ssl_checkpoint": str(tiny_whisper), **changes}
        torch.manual_seed(0)
        return task.build_model(
            argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **given})
        )

    return built


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(1)
    lengths = torch.tensor([30000, 21000])
    return 0.1 * torch.randn(2, 30000), lengths


def test_the_weights_are_the_checkpoints(build, tiny_whisper):
    own = build(frontend_conf={"layers": [1]}).frontend.net.model.state_dict()
    theirs = read_weights(tiny_whisper)
    assert not any(name.startswith("layers.1.") for name in own)
    for name, tensor in own.items():
        assert torch.equal(tensor, theirs[f"model.encoder.{name}"])


@torch.no_grad()
@pytest.mark.parametrize("conf", [{}, {"pool": 2, "layers": [0, -1]}, {"normalize": False}])
def test_kept_states_give_the_features_of_the_speech(build, batch, conf):
    model = build(frontend_conf=conf).eval()
    hidden, frames = model.frontend.hidden_layers(*batch)
    heard, heard_lengths = model.encode(*batch)
    for kept, tolerance in ((hidden.flatten(2), 1e-6), (hidden.flatten(2).half(), 1e-2)):
        found, lengths = model.encode(kept, frames)
        assert lengths.tolist() == heard_lengths.tolist()
        for row, length in enumerate(lengths.tolist()):
            assert (found[row, :length] - heard[row, :length]).abs().max() < tolerance


def test_kept_states_of_other_layers_are_refused(build, batch):
    hidden, frames = build().frontend.hidden_layers(*batch)
    model = build(frontend_conf={"layers": [2]})
    with pytest.raises(UserError, match="features of 48 numbers .* 1 hidden states of 16 are 16"):
        model.encode(hidden.flatten(2), frames)


def frozen(model, part):
    """Whether no parameter of a part learns; None where some do."""
    found = {p.requires_grad for n, p in model.named_parameters() if n.startswith(part)}
    return {(False,): True, (True,): False}.get(tuple(found))


def test_the_model_or_its_convolutions_stand_still_and_the_sum_learns(build):
    model = build(freeze_param=["frontend.net.model"])
    assert frozen(model, "frontend.net.model.") and not frozen(model, "frontend.net.layer_weights")
    model = build(freeze_cnn=True)
    assert frozen(model, "frontend.net.model.conv") and not frozen(model, "frontend.net.model.l")
    model = build(freeze_finetune_updates=2)
    for done, still in ((0, True), (1, True), (2, False)):
        model.freezing.at_update(done)
        assert frozen(model, "frontend.net.model.") is still
        assert frozen(model, "frontend.net.layer_weights") is False


def test_all_of_the_model_learns_where_nothing_is_frozen(build, batch):
    model = build().train()
    model.encode(*batch)[0].square().sum().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert {name.split(".")[0] for name in without} == {"ctc"}  # which encode does not reach


@pytest.mark.parametrize("checkpointing", [False, True])  # peft issue 269: no gradient with it
@pytest.mark.parametrize("adapter", ["lora", "houlsby"])
def test_adapters_learn_beside_the_frontends_model(build, batch, adapter, checkpointing):
    conf = {"gradient_checkpointing": checkpointing}
    model = build(use_adapter=True, adapter=adapter, frontend_conf=conf)
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "frontend.net.layer_weights" in learning
    inside = {name for name in learning if name.startswith("frontend.net.model.")}
    assert inside and inside == model.adapters.added
    model.train()
    model.encode(*batch)[0].square().mean().backward()
    assert any(p.grad is not None for n, p in model.named_parameters() if n in inside)


def test_the_longest_speech_is_the_models(build):
    from asr_dro_plugin.espnet.decode.inference import as_recogniser

    args = argparse.Namespace(**STACK, token_type="char")
    assert as_recogniser(build(), args, "x").longest == 2.0
