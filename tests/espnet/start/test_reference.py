"""Losses of a reference run: written along it, refused where the runs differ."""

import argparse
import json
import math

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.checks import objective_conf_of
from asr_dro_plugin.espnet.start.reference import (
    FREE_KEYS,
    GroupLossLog,
    fingerprint_of,
    hash_of_data,
    read_reference,
    settings_of,
)
from asr_dro_plugin.objectives import build_objective
from tests.espnet.conftest import arguments, write_config

GROUPS = ["deu", "eng"]
PRINT = {"data": "abc", "config": {"seed": 1, "optim_conf.lr": 0.1}}


def log(*values):
    return {"loss": list(values), "batch_loss": [4 * value for value in values]}


def test_what_is_written_is_what_the_objective_reads(tmp_path):
    log_file = GroupLossLog(tmp_path / "group_losses.json", GROUPS, PRINT)
    log_file.add(10, log(5.0, 7.0))
    log_file.add(20, log(4.0, math.nan))
    reference = read_reference(tmp_path, PRINT)
    assert reference == {
        "groups": GROUPS,
        "steps": [10, 20],
        "loss": [[5.0, 7.0], [4.0, None]],
        "batch_loss": [[20.0, 28.0], [16.0, None]],
    }
    conf = {"signal": "excess", "reference": reference, "group_names": GROUPS}
    objective = build_objective("ctc_dro", 2, **conf)
    assert objective.reference_losses.tolist() == [[20.0, 28.0], [16.0, 28.0]]


def test_a_resumed_run_writes_the_rows_past_its_checkpoint_anew(tmp_path):
    path = tmp_path / "group_losses.json"
    for step in (10, 20, 30):
        GroupLossLog(path, GROUPS, PRINT).add(step, log(step, step))
    GroupLossLog(path, GROUPS, PRINT).add(20, log(2.0, 2.0))
    assert json.loads(path.read_text())["steps"] == [10, 20]
    assert json.loads(path.read_text())["loss"] == [[10, 10], [2, 2]]


def test_another_run_in_the_same_place_begins_a_new_file(tmp_path):
    path = tmp_path / "group_losses.json"
    GroupLossLog(path, GROUPS, PRINT).add(10, log(1.0, 1.0))
    GroupLossLog(path, GROUPS, PRINT | {"data": "other"}).add(20, log(2.0, 2.0))
    assert json.loads(path.read_text())["steps"] == [20]


def test_other_data_and_other_settings_are_refused_and_named(tmp_path):
    GroupLossLog(tmp_path / "group_losses.json", GROUPS, PRINT).add(10, log(1.0, 1.0))
    with pytest.raises(UserError, match="on other training data"):
        read_reference(tmp_path, PRINT | {"data": "other"})
    other = PRINT | {"config": {"seed": 2, "optim_conf.lr": 0.1}}
    with pytest.raises(UserError, match=r"1 other settings \(seed 1 there, 2 here\)"):
        read_reference(tmp_path, other)
    with pytest.raises(UserError, match="does not exist. Train the reference first"):
        read_reference(tmp_path / "no_such_run", PRINT)
    (tmp_path / "group_losses.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_reference(tmp_path, PRINT)


def test_data_are_the_same_whatever_their_order():
    assert hash_of_data({"a": "0", "b": "1"}) == hash_of_data({"b": "1", "a": "0"})
    assert hash_of_data({"a": "0", "b": "1"}) != hash_of_data({"a": "0", "b": "0"})


def test_method_and_paths_are_no_settings():
    config = {
        "objective": "ctc", "seed": 1, "output_dir": "exp", "rir_scp": "data/rir.scp",
        "model_conf": {"ctc_weight": 1.0, "groups": ["deu"], "objective_conf": {"cap": 1}},
        "train_shape_file": ["a"], "betas": (0.9, 0.98),
    }  # fmt: skip
    assert settings_of(config) == {"seed": 1, "model_conf.ctc_weight": 1.0, "betas": [0.9, 0.98]}


def test_every_key_that_is_left_out_is_an_option(task):
    known = {action.dest for action in task.get_parser()._actions}
    assert {key for key in FREE_KEYS if "." not in key} <= known


def parsed(task, dump, tmp_path, **changes):
    config = write_config(tmp_path / "train.yaml", model="dro", **changes)
    args = task.get_parser().parse_args(arguments(dump, tmp_path / "exp", config))
    args.groups = GROUPS
    return args


def test_runs_that_differ_in_the_method_alone_have_one_fingerprint(task, dump, tmp_path):
    plain = fingerprint_of(parsed(task, dump, tmp_path, objective="ctc"))
    robust = parsed(task, dump, tmp_path, objective="ctc_dro", objective_conf={"cap": 2.0})
    assert fingerprint_of(robust) == plain
    shown = {"trackers": ["wandb"], "tracker_conf": {"wandb": {"mode": "online"}}}
    shown |= {"augmentation_examples": 0, "augmentation_interval": 3}
    assert fingerprint_of(parsed(task, dump, tmp_path, objective="ctc", **shown)) == plain
    assert fingerprint_of(parsed(task, dump, tmp_path, accum_grad=2)) != plain


def test_a_reference_is_read_into_the_configuration(task, dump, tmp_path):
    args = parsed(task, dump, tmp_path, objective="ctc")
    path = tmp_path / "reference" / "group_losses.json"
    GroupLossLog(path, GROUPS, fingerprint_of(args)).add(10, log(1.0, 2.0))
    args.objective_conf = {"signal": "excess", "reference": str(path)}
    assert objective_conf_of(args)["reference"]["loss"] == [[1.0, 2.0]]
    args.seed += 1
    with pytest.raises(UserError, match=r"1 other settings \(seed"):
        objective_conf_of(args)


def test_a_size_adjustment_gets_the_sizes_of_the_groups(task, dump, tmp_path):
    args = parsed(task, dump, tmp_path)
    args.objective_conf = {"size_adjustment": "1e-3"}  # text to YAML 1.1
    assert objective_conf_of(args) == {"size_adjustment": 0.001, "group_sizes": [8, 8]}
    args.objective_conf = {}
    assert objective_conf_of(args) == {}


def test_data_without_group_ids_are_refused():
    args = argparse.Namespace(train_data_path_and_name_and_type=[("text", "text", "text")])
    with pytest.raises(UserError, match="utt2group,group_ids,text_int"):
        fingerprint_of(args)
