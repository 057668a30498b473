"""hf_wav2vec2 in training: what learns and what stays, and experiments that need no folder."""

import json
import math
import shutil

import numpy as np
import pytest
import soundfile
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from tests.espnet.conftest import arguments, write_config

pytest_plugins = ["tests.fixtures_ssl"]

# E's settings at the size of a test: convolutions frozen, 20 updates, infeasible items counted.
CONFIG = {
    "frontend": "none", "frontend_conf": {}, "normalize": "none", "freeze_cnn": True,
    "encoder": "hf_wav2vec2",
    "encoder_conf": {"layers": "weighted", "mask_time_length": 2}, "model": "dro",
    "objective": "ctc", "iterator_type": "task", "sampler": "group_duration",
    "sampler_conf": {"duration": 3.0}, "num_iters_per_epoch": 10, "max_epoch": 2,
    "optim_conf": {"lr": 0.01}, "best_model_criterion": [["valid", "worst_group_cer", "min"]],
}  # fmt: skip
MODEL = "valid.worst_group_cer.ave.pth"


@pytest.fixture(scope="module")
def run(task, dump, tiny_ssl, tmp_path_factory, one_thread):
    """(experiment, folder of the checkpoint that was), the folder deleted after the training."""
    root = tmp_path_factory.mktemp("own")
    folder = root / "pretrained"
    shutil.copytree(tiny_ssl.hf, folder)
    config = write_config(root / "train.yaml", **CONFIG)
    words = [*arguments(dump, root / "exp", config), "--ssl_checkpoint", str(folder)]
    task.main(cmd=words)
    shutil.rmtree(folder)
    return root / "exp", folder


@pytest.fixture(scope="module")
def begun(tiny_ssl):
    """Weights that the training began with, by their names in the experiment."""
    from asr_dro_plugin.pretrained.hf_folders import read_weights

    weights = read_weights(tiny_ssl.hf)
    return {f"encoder.net.model.{name}": value for name, value in weights.items()}


def test_frozen_convolutions_are_as_they_came_and_all_else_learned(run, begun):
    trained = torch.load(run[0] / "2epoch.pth", weights_only=True)
    cnn = [name for name in trained if ".feature_extractor." in name]
    assert len(cnn) == 7 * 4
    assert all(torch.equal(trained[name], begun[name]) for name in cnn)
    moved = [
        name for name in begun if name not in cnn and not torch.equal(trained[name], begun[name])
    ]
    assert len(moved) > 0.8 * (len(begun) - len(cnn))
    assert trained["encoder.net.layer_weights"].abs().min() > 0  # each began at 0


def test_the_head_learned_and_the_validation_loss_is_a_number(run):
    lines = (run[0] / "metrics.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row.get("phase") == "valid"]
    losses = [row["values"]["loss"] for row in rows]
    assert len(losses) == 2 and losses[1] < losses[0]
    assert all(math.isfinite(loss) for loss in losses)


def test_config_yaml_alone_rebuilds_the_model(run, dump):
    """The folder is gone: decoding reads the network from ``model_config``."""
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    exp, folder = run
    config = yaml.safe_load((exp / "config.yaml").read_text("utf-8"))
    assert config["ssl_checkpoint"] is None and not folder.exists()
    assert config["encoder_conf"]["model_config"]["_name_or_path"] == str(folder)
    assert config["encoder_conf"]["do_normalize"] is True
    recogniser = load_recogniser(exp, MODEL)
    speech = [soundfile.read(path, dtype="float32")[0]
              for path in list(read_table(dump / "test/wav.scp").values())[:3]]  # fmt: skip
    emission = recogniser.emission(speech)
    assert emission.lengths.tolist() == [recogniser.frames.num_frames(len(x)) for x in speech]
    for row, samples in enumerate(speech):
        alone = recogniser.emission([samples]).log_probs[0]
        assert np.abs(emission.log_probs[row, : len(alone)] - alone).max() < 1e-5


def test_a_run_goes_on_without_the_folder_it_began_with(run, task, dump, tmp_path):
    exp = tmp_path / "exp"
    shutil.copytree(run[0], exp, symlinks=True)
    before = torch.load(exp / "2epoch.pth", weights_only=True)
    config = write_config(tmp_path / "train.yaml", **{**CONFIG, "max_epoch": 3})
    words = [*arguments(dump, exp, config), "--ssl_checkpoint", str(run[1]), "--resume", "true"]
    task.main(cmd=words)
    after = torch.load(exp / "3epoch.pth", weights_only=True)
    name = "encoder.net.model.encoder.layers.0.attention.q_proj.weight"
    assert 0 < (after[name] - before[name]).abs().max() < 0.2  # from there, not from the start


def test_a_new_training_asks_for_the_folder_in_one_line(run, task, dump, tmp_path):
    config = write_config(tmp_path / "train.yaml", **CONFIG)
    words = [*arguments(dump, tmp_path / "new", config), "--ssl_checkpoint", str(run[1])]
    with pytest.raises(UserError, match="is neither a file or folder") as caught:
        task.main(cmd=words)
    assert "\n" not in str(caught.value) and not (tmp_path / "new").exists()


def test_a_packed_model_is_itself_somewhere_else(run, dump, tmp_path, monkeypatch):
    """No part of the pretrained folder travels, and none is needed."""
    from asr_dro_plugin.espnet.decode.inference import load_recogniser
    from asr_dro_plugin.export.pack import PackOptions, pack
    from asr_dro_plugin.packing.unpack import unpack

    monkeypatch.chdir(tmp_path)
    pack(run[0], tmp_path / "model.zip", PackOptions())
    unpack(tmp_path / "model.zip", tmp_path / "there")
    packed = next((tmp_path / "there").rglob("config.yaml"))
    assert str(run[1]) not in packed.read_text("utf-8")
    speech = [torch.randn(16000, generator=torch.Generator().manual_seed(0)).numpy()]
    here, there = (load_recogniser(exp, MODEL).emission(speech) for exp in (run[0], packed.parent))
    assert np.array_equal(here.log_probs, there.log_probs)


def test_infeasible_items_are_counted_and_their_loss_does_not_count(task, tiny_ssl):
    """Two frames cannot hold four letters; without zero_infinity the item is named."""
    import argparse

    from asr_dro_plugin.espnet.start.checks import model_conf_of
    from tests.espnet.tiny import NAMES, TOKENS, batch

    defaults = vars(task.get_parser().parse_args([]))
    slots = {"frontend": None, "normalize": None, "encoder": "hf_wav2vec2", "model": "dro"}
    args = argparse.Namespace(**{**defaults, **slots, "ssl_checkpoint": str(tiny_ssl.hf)})
    args.token_list, args.groups, args.objective = TOKENS, NAMES, "ctc"
    args.model_conf = {"ctc_weight": 1.0}
    args.model_conf = model_conf_of(args)
    model = task.build_model(args).eval()
    given = batch(lengths=(16000, 800), labels=(5, 4), group_ids=(0, 1))
    with torch.no_grad():
        parts = model.utterance_losses(**given)
        loss, _, _ = model(**given)
    assert parts.infeasible_B.tolist() == [False, True]
    assert loss.item() == pytest.approx(parts.losses_B[0].item() / 2)  # the other counts as 0
