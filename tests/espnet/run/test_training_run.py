"""A training run as a whole: ESPnet's figures, stopped anywhere, and nothing lost."""

import errno
import json
import logging
import math
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from espnet2.train.trainer import Trainer

from asr_dro_plugin.checkpoints.store import CheckpointStore
from asr_dro_plugin.errors import DiskFull, TrainingStopped, UserError
from asr_dro_plugin.espnet.model.model import DROASRModel
from asr_dro_plugin.espnet.run import validation
from asr_dro_plugin.espnet.run.steps import Stepper
from asr_dro_plugin.espnet.run.training_epoch import TrainingEpoch
from asr_dro_plugin.espnet.run.training_run import TrainingRun
from tests.espnet import runs

QUIET = {"use_matplotlib": False}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def train(task, dump, tmp_path_factory):
    """``train(name, **changes)``: the experiment's directory; the same name goes on with it."""
    root = tmp_path_factory.mktemp("runs")

    def run(name: str, **changes) -> Path:
        task.main(cmd=runs.command(dump, root / name, **{**QUIET, **changes}))
        return root / name

    run.root = root
    return run


@pytest.fixture(scope="module")
def straight(train):
    """The run that was never stopped."""
    return train("straight")


def after_step(monkeypatch, number, action):
    """Call ``action(run)`` once, after step ``number``."""
    step, done = TrainingEpoch._step, []

    def with_action(self, *args):
        step(self, *args)
        if self.run.position.steps == number and not done:
            done.append(True)
            action(self.run)

    monkeypatch.setattr(TrainingEpoch, "_step", with_action)


def send(number):
    return lambda _run: os.kill(os.getpid(), number)


# -- ESPnet's own figures --------------------------------------------------------------------------


def by_espnet(task, dump, exp, **changes):
    """The same command under ESPnet's own Trainer."""

    class EspnetsTask(task):
        trainer = Trainer

    EspnetsTask.main(cmd=runs.command(dump, exp, **{**QUIET, **changes}))
    return exp


CRITERION = {"best_model_criterion": [["valid", "cer_ctc", "min"]], "save_interval_steps": 0}


@pytest.mark.parametrize(
    "model", [{"model": "espnet"}, {"objective": "none"}, {"objective": "ctc"}]
)
def test_with_our_features_off_two_epochs_give_the_losses_of_espnets_trainer(
    task, dump, train, tmp_path, model
):
    plain = {**runs.SEQUENCE, **CRITERION}
    theirs = by_espnet(task, dump, tmp_path / "theirs", **plain, model="espnet")
    name = "ours_" + "_".join(model.values())
    ours = train(name, **{**plain, **model, "sanity_batches": 2})
    for epoch in (1, 2):
        one, two = (torch.load(exp / f"{epoch}epoch.pth") for exp in (theirs, ours))
        assert len(one) > 10
        assert [key for key, value in one.items() if not torch.equal(value, two[key])] == []
    one, two = (runs.newest(exp)["reporter"]["stats"] for exp in (theirs, ours))
    # ESPnet reports a training loss divided by accum_grad; an objective reports the loss itself.
    factor = 3 if model.get("objective") == "ctc" else 1
    for epoch in (1, 2):
        for phase, by in (("train", factor), ("valid", 1)):
            assert two[epoch][phase]["loss"] == pytest.approx(by * one[epoch][phase]["loss"])
            assert one[epoch][phase]["total_count"] == two[epoch][phase]["total_count"]


def test_espnets_trainer_goes_on_from_our_checkpoint_and_ours_from_espnets(
    task, dump, train, tmp_path
):
    plain = {**runs.SEQUENCE, **CRITERION, "model": "espnet", "accum_grad": 1}
    whole = train("espnet_whole", **plain)
    for first, second in ((train, by_espnet), (by_espnet, train)):
        exp = train.root / f"half_{first is train}"
        for trainer, epochs in ((first, 1), (second, 2)):
            changes = {**plain, "max_epoch": epochs}
            trainer(exp.name, **changes) if trainer is train else by_espnet(
                task, dump, exp, **changes
            )
        one, two = (torch.load(e / "2epoch.pth") for e in (whole, exp))
        assert all(torch.equal(value, two[key]) for key, value in one.items())


# -- stopped and resumed ---------------------------------------------------------------------------


@pytest.mark.parametrize("iterator", [{}, runs.SEQUENCE], ids=["task", "sequence"])
@pytest.mark.parametrize("number", [2, 5])
def test_a_run_stopped_by_a_signal_goes_on_bit_for_bit(train, monkeypatch, iterator, number):
    name = f"stopped_{number}_{len(iterator)}"
    whole = train(f"whole_{len(iterator)}", **iterator)
    after_step(monkeypatch, number, send(signal.SIGTERM))
    with pytest.raises(TrainingStopped, match="batch .* the same command goes on") as stopped:
        train(name, **iterator, save_interval_steps=0)
    assert stopped.value.exit_code == 75
    state = runs.newest(train.root / name)
    assert state["asr_dro"]["position"]["steps"] == number
    assert runs.same_files(whole, train(name, **iterator)) == []


def test_left_over_gradients_of_an_accumulation_are_saved(train, monkeypatch):
    after_step(monkeypatch, 2, send(signal.SIGUSR1))
    with pytest.raises(TrainingStopped):
        train("left_over")
    gradients = runs.newest(train.root / "left_over")["asr_dro"]["gradients"]
    assert gradients and any(float(grad.abs().max()) > 0 for grad in gradients.values())


def test_usr2_saves_and_training_goes_on(train, monkeypatch, straight):
    saved = []
    real = CheckpointStore.save
    monkeypatch.setattr(
        CheckpointStore, "save", lambda self, state, number, sync=False: saved.append(number)
        or real(self, state, number, sync),
    )  # fmt: skip
    after_step(monkeypatch, 3, send(signal.SIGUSR2))
    exp = train("usr2", save_interval_steps=0)
    assert 3 in saved and runs.same_files(straight, exp) == []


def test_a_run_stopped_in_validation_does_not_train_again(train, monkeypatch, straight):
    real, stopped = validation._validate_batch, []

    def stop_once(model, item, options):
        if not stopped and model.objective.num_updates > 0:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
        return real(model, item, options)

    monkeypatch.setattr(validation, "_validate_batch", stop_once)
    with pytest.raises(TrainingStopped):
        train("in_validation")
    assert runs.newest(train.root / "in_validation")["asr_dro"]["position"]["is_trained"]
    assert runs.same_files(straight, train("in_validation")) == []


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(
    train, monkeypatch, straight, caplog
):
    after_step(monkeypatch, 4, send(signal.SIGTERM))
    with pytest.raises(TrainingStopped):
        train("damaged")
    newest = (train.root / "damaged" / "checkpoint.pth").resolve()
    with newest.open("r+b") as stream:
        stream.seek(newest.stat().st_size // 2)
        stream.write(b"rust")
    with caplog.at_level(logging.WARNING):
        exp = train("damaged")
    assert f"{newest.name} is damaged" in caplog.text
    assert runs.same_files(straight, exp) == []


def test_a_run_that_is_over_is_left_as_it_is(train, straight):
    before = {path.name: path.stat().st_mtime_ns for path in straight.glob("*epoch.pth")}
    train("straight")
    assert {path.name: path.stat().st_mtime_ns for path in straight.glob("*epoch.pth")} == before


def test_other_groups_than_those_of_the_checkpoint_are_refused(
    train, straight, dump, task, tmp_path
):
    other = tmp_path / "groups.txt"
    other.write_text("deu\neng\nfra\n")
    words = runs.command(dump, straight, **QUIET)
    with pytest.raises(UserError, match="new: fra"):
        task.main(cmd=[*words, "--groups", str(other)])


# -- what is kept and reported ---------------------------------------------------------------------


def test_figures_of_each_group_are_in_every_epoch(straight):
    stats = runs.newest(straight)["reporter"]["stats"]
    for epoch in (1, 2):
        assert {"loss_deu", "loss_eng", "q_deu", "q_eng"} <= set(stats[epoch]["train"])
        valid = stats[epoch]["valid"]
        worst = max(valid["cer_deu"], valid["cer_eng"])
        assert valid["worst_group_cer"] == worst
        assert valid["macro_cer"] == pytest.approx((valid["cer_deu"] + valid["cer_eng"]) / 2)
        assert stats[epoch]["train"]["q_deu"] + stats[epoch]["train"]["q_eng"] == pytest.approx(1)
    assert stats[1]["train"]["q_deu"] != stats[2]["train"]["q_deu"]


def test_the_best_model_is_that_of_the_worst_group(straight):
    stats = runs.newest(straight)["reporter"]["stats"]
    best = min((1, 2), key=lambda epoch: stats[epoch]["valid"]["worst_group_cer"])
    assert os.readlink(straight / "valid.worst_group_cer.best.pth") == f"{best}epoch.pth"


def test_the_average_carries_the_newest_group_weights(straight):
    average = torch.load(straight / "valid.worst_group_cer.ave_2best.pth")
    newest = torch.load(straight / "2epoch.pth")
    kept = [key for key in newest if key.startswith("objective.")]
    assert len(kept) > 5
    for key in kept:
        assert torch.equal(average[key].nan_to_num(7e7), newest[key].nan_to_num(7e7)), key


def test_what_was_seen_is_counted_through_stops(straight, dump):
    rows = json.loads((straight / "seen.json").read_text())
    samples = dict(line.split() for line in (dump / "train/speech_shape").read_text().splitlines())
    total = 2 * sum(int(value) for value in samples.values()) / 16000
    assert sum(row["utterances"] for row in rows) == 2 * len(samples)
    assert sum(row["seconds"] for row in rows) == pytest.approx(total, abs=0.02)
    assert {row["group"] for row in rows} == {"deu", "eng"}


def test_two_checkpoints_and_the_models_asked_for_are_on_the_disk(straight):
    names = {path.name for path in straight.glob("checkpoint.*.pth")}
    assert len(names) == 2
    assert {path.name for path in straight.glob("*epoch.pth")} == {"1epoch.pth", "2epoch.pth"}
    assert not list(straight.glob("*.tmp")) and not list(straight.glob(".*.tmp"))


def test_figures_go_to_tensorboard(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    exp = train("board", use_tensorboard=True, max_epoch=1)
    events = {}
    for phase in ("train", "valid"):
        events[phase] = (
            EventAccumulator(str(exp / "tensorboard" / phase)).Reload().Tags()["scalars"]
        )
    assert {"loss_deu", "q_eng", "loss"} <= set(events["train"])
    assert {"worst_group_cer", "macro_cer", "cer_deu"} <= set(events["valid"])


# -- before the first step -------------------------------------------------------------------------


def test_a_criterion_that_validation_does_not_report_is_refused_before_training(train):
    criterion = {"best_model_criterion": [["valid", "worst_group_cre", "min"]]}
    with pytest.raises(UserError, match="Did you mean 'worst_group_cer'"):
        train("typo", **criterion)
    assert not list((train.root / "typo").glob("*epoch.pth"))


def test_a_metric_that_crashes_does_so_before_the_first_step(train, monkeypatch):
    def crash(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(DROASRModel, "_score", crash)
    monkeypatch.setattr(TrainingEpoch, "_step", lambda *_args: pytest.fail("a step was taken"))
    with pytest.raises(ZeroDivisionError):
        train("crashing_metric")


def test_trying_out_changes_nothing(train, straight):
    exp = train("untried", sanity_batches=0, probe_memory=False)
    assert runs.same_files(straight, exp) == []


def test_the_longest_planned_batch_is_tried_first(train, caplog):
    with caplog.at_level(logging.INFO):
        train("probed", max_epoch=1)
    lines = [record.getMessage() for record in caplog.records]
    probe = next(i for i, line in enumerate(lines) if line.startswith("The longest planned batch"))
    assert probe < next(i for i, line in enumerate(lines) if "epoch started" in line)


# -- what goes wrong on the way --------------------------------------------------------------------


def nan_gradient_from(monkeypatch, first, last):
    """Steps ``first`` to ``last`` get a gradient of NaN."""
    real, count = Stepper.backward, [0]

    def backward(self, utt_ids, batch, timer):
        result = real(self, utt_ids, batch, timer)
        count[0] += 1
        if first <= count[0] <= last:
            next(iter(self.params)).grad.fill_(float("nan"))
        return result

    monkeypatch.setattr(Stepper, "backward", backward)


def test_a_nan_gradient_skips_its_step_and_is_counted(train, monkeypatch):
    nan_gradient_from(monkeypatch, 2, 2)
    exp = train("one_nan", accum_grad=1, probe_memory=False)
    state = runs.newest(exp)["asr_dro"]
    assert state["counters"]["skipped"]["total"] == 1
    assert sum(state["counters"]["skipped"]["by_group"].values()) >= 1
    assert state["position"]["updates"] == state["position"]["steps"] - 1


def test_too_many_nan_gradients_end_training_with_the_checkpoint_intact(train, monkeypatch):
    nan_gradient_from(monkeypatch, 3, 99)
    with pytest.raises(UserError, match="2 steps in a row") as ended:
        train("many_nans", accum_grad=1, max_skipped_steps=2, probe_memory=False)
    assert ended.value.exit_code == 1
    store = CheckpointStore(train.root / "many_nans")
    state, _ = store.load()
    assert state["asr_dro"]["position"]["updates"] == 2
    assert all(bool(v.isfinite().all()) for k, v in state["model"].items() if "objective" not in k)


def test_a_full_disk_ends_training_with_its_own_exit_code_and_a_whole_checkpoint(
    train, monkeypatch, straight
):
    from asr_dro_plugin.checkpoints import store as checkpoints

    def full(path, state):
        raise DiskFull(f"{path} does not fit on the disk.")

    after_step(monkeypatch, 4, lambda _run: monkeypatch.setattr(checkpoints, "check_room", full))
    with pytest.raises(DiskFull) as ended:
        train("full")
    assert ended.value.exit_code == 74
    monkeypatch.undo()
    assert runs.same_files(straight, train("full")) == []


def test_a_disk_that_is_full_for_anything_else_ends_training_in_the_same_way(train, monkeypatch):
    from asr_dro_plugin.espnet.run.epoch_end import EpochEnd

    def full(_self):
        raise OSError(errno.ENOSPC, "No space left on device", "images/loss.png")

    monkeypatch.setattr(EpochEnd, "report", full)
    with pytest.raises(DiskFull, match="no room left for images/loss.png") as ended:
        train("full_for_pictures")
    assert ended.value.exit_code == 74


def test_a_batch_of_validation_that_does_not_fit_is_split_and_counted_once(
    train, monkeypatch, straight
):
    real = DROASRModel._score

    def limited(self, parts, *args):
        if len(parts.losses_B) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, parts, *args)

    monkeypatch.setattr(DROASRModel, "_score", limited)
    one, two = (
        runs.newest(e)["reporter"]["stats"][2]["valid"] for e in (straight, train("pieces"))
    )
    for key in ("worst_group_cer", "cer_deu", "loss", "total_count"):
        assert two[key] == pytest.approx(one[key], rel=1e-4), key


def test_a_batch_that_does_not_fit_is_split_and_training_goes_on(train, monkeypatch, caplog):
    real = DROASRModel.utterance_losses

    def limited(self, speech, *args, **kwargs):
        if self.training and len(speech) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, speech, *args, **kwargs)

    monkeypatch.setattr(DROASRModel, "utterance_losses", limited)
    exp = train("split", max_epoch=1, sampler_conf={"duration": 12.0})
    state = runs.newest(exp)["asr_dro"]
    assert state["num_split"] > 0 and "Out of memory" in caplog.text
    assert state["position"]["has_updated"] is False and state["position"]["epoch"] == 2
    assert int(state["position"]["steps"]) > 0


def test_early_stopping_and_nan_figures_go_together(train, monkeypatch):
    real = TrainingRun._validate_epoch

    def with_nan(self, epoch):
        real(self, epoch)
        self.reporter.add_values("valid", {"worst_group_cer": math.nan if epoch > 1 else 0.5})

    monkeypatch.setattr(TrainingRun, "_validate_epoch", with_nan)
    stop = {"patience": 1, "early_stopping_criterion": ["valid", "worst_group_cer", "min"]}
    exp = train("patience", max_epoch=6, **stop)
    assert os.readlink(exp / "valid.worst_group_cer.best.pth") == "1epoch.pth"
    assert runs.newest(exp)["reporter"]["epoch"] == 3


def test_an_experiment_can_be_copied_and_resumed_elsewhere(train, straight, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(straight, copy, symlinks=True)
    assert CheckpointStore(copy).load()[1].name == CheckpointStore(straight).load()[1].name


@pytest.mark.parametrize("num_workers", [0, 1])
def test_audio_that_cannot_be_read_ends_training_in_one_line(task, dump, tmp_path, num_workers):
    copy = tmp_path / "dump"
    shutil.copytree(dump, copy)
    scp = copy / "train" / "wav.scp"
    rows = [line.split() for line in scp.read_text().splitlines()]
    rows[3][1] = str(tmp_path / "gone.wav")
    scp.write_text("".join(" ".join(row) + "\n" for row in rows))
    words = runs.command(copy, tmp_path / "exp", num_workers=num_workers, probe_memory=False)
    with pytest.raises(UserError, match=rf"^Utterance {rows[3][0]} cannot be loaded \(.*gone") as e:
        task.main(cmd=words)
    assert "\n" not in str(e.value)
