"""A look at settings and directory before anything is built; tests of a run in ``test_task``."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.checks import earlier_config, given_settings
from asr_dro_plugin.espnet.start.reference import changed_settings
from asr_dro_plugin.stack.check import check_config
from tests.espnet import runs
from tests.espnet.conftest import arguments, write_config

pytest_plugins = ["tests.fixtures_ssl"]
ROOT = Path(__file__).resolve().parents[3]
PLAN = {"model": "dro", "iterator_type": "task", "sampler": "temperature"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler_conf": {"durations": 4}}, "'durations' is no argument. Did you mean 'duration'"),
        ({"sampler_conf": {"duration": "4"}}, "duration must be a number, not '4'"),
        ({"sampler_conf": {"tau": "x"}}, "tau must be a number, not 'x'"),
        (
            {"num_iters_per_epoch": 2.5},
            "num_iters_per_epoch must be a whole number or none, not 2.5",
        ),
        ({"save_interval_steps": -3}, "save_interval_steps is -3. It must be at least 0"),
        ({"accum_grad": 0}, "accum_grad is 0. It must be at least 1"),
        ({"encoder_conf": {"hiden_size": 8}}, "Did you mean 'hidden_size'"),
    ],
)
def test_what_check_config_refuses_is_refused_before_anything_is_built(
    task, dump, tmp_path, monkeypatch, changes, words
):
    monkeypatch.setattr(task, "build_model", lambda args: pytest.fail("a model was built"))
    config = write_config(tmp_path / "train.yaml", **{**PLAN, **changes})
    with pytest.raises(UserError, match=f"^{config}: .*{words}") as caught:
        task.main(cmd=arguments(dump, tmp_path / "exp", config))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exp").exists()


def test_a_wrong_value_on_the_command_line_is_refused_and_a_run_left_where_it_is(
    task, dump, trained, tmp_path
):
    exp = tmp_path / "exp"
    shutil.copytree(trained, exp, symlinks=True)
    config = write_config(tmp_path / "train.yaml", model="dro")
    words = [*arguments(dump, exp, config), "--override", "true", "--save_interval_steps", "-3"]
    with pytest.raises(UserError, match="save_interval_steps is -3"):
        task.main(cmd=words)
    assert (exp / "latest.pth").exists()


def own_config(task, words, out):
    """What a dry run writes as ``config.yaml``, but for the keys that ESPnet itself cannot read."""
    task.main(cmd=[*words, "--output_dir", str(out), "--dry_run", "true"])
    config = yaml.safe_load((out / "config.yaml").read_text())
    for key in ("required", "version", "distributed"):
        del config[key]
    path = out.with_suffix(".own.yaml")
    path.write_text(yaml.safe_dump(config))
    return path


def test_an_experiments_own_config_can_be_trained_from(task, dump, tmp_path):
    conf = {"smoothing": "1e-1", "step_size": 0.01}
    config = write_config(tmp_path / "train.yaml", **PLAN, objective_conf=conf)
    one = own_config(task, arguments(dump, tmp_path / "one", config), tmp_path / "one")
    two = own_config(task, ["--config", str(one)], tmp_path / "two")
    assert changed_settings(*(yaml.safe_load(path.read_text()) for path in (one, two))) == []


@pytest.mark.parametrize("stack", ["conv_ctc", "linear", "wav2vec2", "s3prl"])
def test_what_building_writes_into_a_config_is_no_contradiction(
    task, dump, tmp_path, tiny_ssl, stack
):
    none = {"normalize": "none", "frontend_conf": {}, "encoder_conf": {}}
    changes = {
        "conv_ctc": {},
        "linear": {"preencoder": "linear", "preencoder_conf": {"output_size": 12}},
        "wav2vec2": {**none, "frontend": "none", "encoder": "wav2vec2",
                     "ssl_checkpoint": str(tiny_ssl.fairseq), "freeze_cnn": True},
        "s3prl": {**none, "frontend": "s3prl", "encoder": "identity",
                  "ssl_checkpoint": str(tiny_ssl.hf)},
    }  # fmt: skip
    config = write_config(tmp_path / "train.yaml", **changes[stack])
    words = arguments(dump, tmp_path / "exp", config, groups=False)
    own = own_config(task, words, tmp_path / "exp")
    given = given_settings(task.get_parser().parse_args(["--config", str(own)]))
    check_config(given, "own")
    assert given["batch_type"] == "sorted" and "valid_batch_type" not in given


def stopped(task, dump, exp, steps, monkeypatch, **changes):
    """A run that was stopped after so many steps; the words of its command."""
    from asr_dro_plugin.errors import TrainingStopped
    from asr_dro_plugin.espnet.run.run_saving import RunSaving

    real = RunSaving.between_batches

    def between_batches(self):
        if self.run.position.steps == steps:
            self.run.request.stop = 15
        real(self)

    words = runs.command(dump, exp, use_matplotlib=False, **changes)
    with monkeypatch.context() as patch:
        patch.setattr(RunSaving, "between_batches", between_batches)
        with pytest.raises(TrainingStopped):
            task.main(cmd=words)


def again(dump, exp, **changes):
    return runs.command(dump, exp, use_matplotlib=False, **changes)


def test_going_on_with_other_settings_is_told_in_one_warning(
    task, dump, tmp_path, monkeypatch, caplog
):
    exp = tmp_path / "exp"
    stopped(task, dump, exp, 3, monkeypatch)
    caplog.clear()
    changes = {
        "accum_grad": 2, "optim_conf": {"lr": 0.01}, "sampler_conf": {"duration": 5.0},
        "objective_conf": {"step_size": 0.5}, "max_epoch": 1, "keep_checkpoints": 3,
    }  # fmt: skip
    task.main(cmd=again(dump, exp, **changes))
    (line,) = [r.getMessage() for r in caplog.records if "other settings" in r.getMessage()]
    for words in (
        "accum_grad 3 -> 2", "optim_conf.lr 0.002 -> 0.01", "sampler_conf.duration 4.0 -> 5.0",
        "objective_conf.step_size none -> 0.5", "max_epoch 2 -> 1",
    ):  # fmt: skip
        assert words in line
    assert "keep_checkpoints" not in line and "model_conf" not in line
    assert yaml.safe_load((exp / "config.yaml").read_text())["accum_grad"] == 2
    (group,) = runs.newest(exp)["optimizers"][0]["param_groups"]
    assert group["initial_lr"] == 0.002  # as the warning says


def test_going_on_with_the_same_settings_says_nothing(task, dump, tmp_path, monkeypatch, caplog):
    exp = tmp_path / "exp"
    stopped(task, dump, exp, 2, monkeypatch, max_epoch=1)
    caplog.clear()
    task.main(cmd=again(dump, exp, max_epoch=1))
    assert "The training was resumed using" in caplog.text
    assert "other settings" not in caplog.text


def test_gradients_amid_an_accumulation_go_on_with_no_other(task, dump, tmp_path, monkeypatch):
    exp = tmp_path / "exp"
    stopped(task, dump, exp, 2, monkeypatch)
    assert torch.load(exp / "checkpoint.pth", weights_only=True)["asr_dro"]["gradients"]
    before = (exp / "config.yaml").read_text()
    with pytest.raises(UserError, match="amid an accumulation of 3 batches.*accum_grad: 2"):
        task.main(cmd=again(dump, exp, accum_grad=2))
    assert (exp / "config.yaml").read_text() == before


def test_the_log_keeps_its_level_whatever_is_warned_of_before_it(dump, tmp_path):
    """A schedule of another length is a warning of the check, before ESPnet sets up the log."""
    words = runs.command(
        dump, tmp_path / "exp", num_iters_per_epoch=2, scheduler="tri_stage",
        scheduler_conf={"max_steps": 9},
    )  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-m", "asr_dro_plugin.bin.train", *words, "--dry_run", "true"], cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stderr.count("max_steps is 9, but training takes 1 updates") == 1
    assert "INFO: Saving the configuration" in run.stderr


def test_a_torn_config_is_as_none(tmp_path):
    (tmp_path / "checkpoint.pth").write_bytes(b"")
    assert earlier_config(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("optim_conf: {lr: [")
    assert earlier_config(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("seed: 3")
    assert earlier_config(tmp_path) == {"seed": 3}


def test_options_of_another_version_are_no_change():
    before = {"seed": 1, "gone": 2, "optim_conf": {"lr": 0.1}, "token_list": ["a"] * 99}
    now = {"seed": 2, "new": 3, "optim_conf": {"betas": [1, 2]}, "token_list": ["a"] * 99}
    assert changed_settings(before, now) == [
        "optim_conf.betas none -> [1, 2]", "optim_conf.lr 0.1 -> none", "seed 1 -> 2",
    ]  # fmt: skip


def test_a_switch_that_moved_into_experimental_is_no_change():
    before = {"objective_conf": {"smoothing_rel": 0.6, "cap": 2.0}}
    now = {"objective_conf": {"smoothing_rel": 0.6, "experimental": {"cap": 2.0}}}
    assert changed_settings(before, now) == []
    now["objective_conf"]["experimental"]["cap"] = 3.0
    assert changed_settings(before, now) == ["objective_conf.cap 2.0 -> 3.0"]


@pytest.fixture(autouse=True)
def warnings(caplog):
    caplog.set_level(logging.INFO)
