"""convert-checkpoint: objects become plain containers, and nothing of the file is run."""

import argparse

import pytest
import torch

from asr_dro_plugin.bin.convert_checkpoint import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.layouts import inspect_checkpoint
from asr_dro_plugin.pretrained.read_weights import load_plain
from tests.hostile import attacks, write_zip

pytest_plugins = ["tests.fixtures_ssl"]


def with_omegaconf(state):
    from omegaconf import OmegaConf

    cfg = OmegaConf.create(state["cfg"])
    cfg.task.tpu = "${common.tpu}"
    return state | {"cfg": cfg, "last_optimizer_state": {"state": object}}


def with_namespace(state):
    """Before fairseq 0.10: one flat namespace, a tuple written as a string, another task name."""
    sections = state["cfg"]["task"] | state["cfg"]["model"]
    sections.pop("_name")
    flat = {"arch": "wav2vec2", "task": "speech_pretraining", "latent_temp": "(2,0.5,0.999995)"}
    return state | {"cfg": None, "args": argparse.Namespace(**(sections | flat))}


@pytest.fixture(params=[with_omegaconf, with_namespace])
def pickled(request, tiny_ssl, tmp_path):
    """The tiny checkpoint with objects in it."""
    torch.save(request.param(torch.load(tiny_ssl.fairseq)), tmp_path / "in.pt")
    return tmp_path / "in.pt"


def test_objects_become_plain_and_the_file_encodes_the_same(pickled, tiny_ssl, tmp_path):
    from asr_dro_plugin.espnet.parts.ssl import PreparedWav2Vec2Encoder

    out = tmp_path / "out.pt"
    assert main([str(pickled), str(out)]) == 0
    assert inspect_checkpoint(out).layout == "fairseq"
    speech, lengths = torch.randn(1, 16000), torch.tensor([16000])
    encoders = [
        PreparedWav2Vec2Encoder(
            input_size=1, w2v_url=path.name, w2v_dir_path=str(path.parent), output_size=16
        ).eval()
        for path in (tiny_ssl.fairseq, out)
    ]
    with torch.no_grad():
        first, second = (encoder(speech.clone(), lengths)[0] for encoder in encoders)
    assert torch.equal(first, second)


def test_a_fairseq_file_becomes_s3prl_s(tiny_ssl, tmp_path):
    out = tmp_path / "out.pt"
    assert main([str(tiny_ssl.fairseq), str(out), "--layout", "s3prl"]) == 0
    ours, theirs = load_plain(out), load_plain(tiny_ssl.s3prl)
    assert inspect_checkpoint(out).layout == "s3prl"
    assert {k: ours[k] for k in ("task_cfg", "model_cfg")} == {
        k: theirs[k] for k in ("task_cfg", "model_cfg")
    }
    assert all(torch.equal(ours["model_weight"][k], v) for k, v in theirs["model_weight"].items())


def test_wrong_input_is_said_in_one_line(tiny_ssl, tmp_path):
    with pytest.raises(UserError, match="is not a file"):
        main([str(tmp_path / "none.pt"), str(tmp_path / "out.pt")])
    with pytest.raises(UserError, match="no fairseq checkpoint"):
        main([str(tiny_ssl.s3prl), str(tmp_path / "out.pt")])
    with pytest.raises(UserError, match="both"):
        main([str(tiny_ssl.fairseq), str(tiny_ssl.fairseq)])


@pytest.mark.parametrize("trick", ["os.system", "eval", "hidden in omegaconf"])
def test_a_hostile_file_runs_nothing_and_gives_nothing(tmp_path, trick):
    write_zip(tmp_path / "evil.pt", attacks(tmp_path / "sentinel")[trick])
    with pytest.raises(UserError, match="Nothing was run"):
        main([str(tmp_path / "evil.pt"), str(tmp_path / "out.pt")])
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pt"]
