"""What a run records beside its models is exact after a stop, and changes no number of it."""

import json
import logging
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from asr_dro_plugin.errors import TrainingStopped
from asr_dro_plugin.espnet.run import augmentation
from asr_dro_plugin.espnet.run.steps import Stepper
from asr_dro_plugin.espnet.run.training_epoch import TrainingEpoch
from asr_dro_plugin.espnet.start import versions
from asr_dro_plugin.experiment.metrics import read_records
from asr_dro_plugin.reporting.read.history import read_history
from tests.espnet import runs

PLAIN = {"use_matplotlib": False, "log_interval": 2}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def train(task, dump, tmp_path_factory):
    """``train(name, **changes)``: the experiment's folder; the same name goes on with it."""
    root = tmp_path_factory.mktemp("records")

    def run(name, **changes):
        task.main(cmd=runs.command(dump, root / name, **{**PLAIN, **changes}))
        return root / name

    run.root = root
    return run


@pytest.fixture(scope="module")
def straight(train):
    """The run that was never stopped and has TensorBoard's files too."""
    return train("straight", use_tensorboard=True)


def lines(exp):
    """The records without what a clock says."""
    return [
        (r.phase, r.epoch, r.step, r.batches, r.whole,
         {n: v for n, v in r.values.items() if not n.endswith("_time") and v == v})
        for r in read_records(exp / "metrics.jsonl")
    ]  # fmt: skip


def stop_after(monkeypatch, number, how):
    step, done = TrainingEpoch._step, []

    def with_stop(self, *args):
        step(self, *args)
        if self.run.position.steps == number and not done:
            done.append(True)
            how()

    monkeypatch.setattr(TrainingEpoch, "_step", with_stop)


# -- figures ---------------------------------------------------------------------------------------


def test_metrics_hold_each_interval_and_each_epoch(straight):
    found = lines(straight)
    assert [row[:5] for row in found if row[4]] == [
        ("train", 1, 2, 7, True), ("valid", 1, 2, 7, True),
        ("train", 2, 4, 14, True), ("valid", 2, 4, 14, True),
    ]  # fmt: skip
    assert [row[3] for row in found if not row[4]] == [2, 4, 6, 9, 11, 13]
    stats = runs.newest(straight)["reporter"]["stats"]
    for row in (row for row in found if row[4]):
        expected = stats[row[1]][row[0]] | {"skipped_steps": 0, "passed_over": 0}
        assert row[5] == {name: expected[name] for name in row[5]}
    assert {"loss_deu", "q_eng", "loss", "optim0_lr0"} <= set(found[-2][5])
    assert {"cer_deu", "worst_group_cer", "macro_cer"} <= set(found[-1][5])


def test_tensorboards_files_tell_the_same_history(straight):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = read_history(straight)
    assert history.groups() == ["deu", "eng"]
    for phase in ("train", "valid"):
        folder = straight / "tensorboard" / phase
        events = EventAccumulator(str(folder), purge_orphaned_data=False).Reload()
        records = [record.values for record in history.records if record.phase == phase]
        for name in history.names(phase):
            ours = [values[name] for values in records if name in values]
            theirs = [event.value for event in events.Scalars(name)]
            np.testing.assert_allclose(theirs, ours, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("number", [3, 5, 7, 8])
def test_a_stopped_run_has_every_line_once(train, straight, monkeypatch, number):
    stop_after(monkeypatch, number, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(TrainingStopped):
        train(f"stopped_{number}")
    assert lines(train(f"stopped_{number}")) == lines(straight)


def test_what_was_left_out_is_counted_in_the_figures(train, monkeypatch):
    backward, count = Stepper.backward, [0]

    def with_nan(self, *args):
        result, count[0] = backward(self, *args), count[0] + 1
        if count[0] == 3:
            next(iter(self.params)).grad.fill_(float("nan"))
        return result

    monkeypatch.setattr(Stepper, "backward", with_nan)
    exp = train("left_out", accum_grad=1, probe_memory=False, max_epoch=1)
    skipped = read_history(exp).series("train", "skipped_steps", whole=False).values
    assert skipped.tolist() == [0, 1, 1] and len(read_history(exp).series("valid", "loss").values)


def crash():
    raise RuntimeError("the power is gone")


@pytest.mark.parametrize("interval", [0, 3])
def test_lines_beyond_the_checkpoint_of_a_crashed_run_are_cut_off(
    train, straight, monkeypatch, interval
):
    stop_after(monkeypatch, 12, crash)
    name = f"crashed_{interval}"
    with pytest.raises(RuntimeError, match="power"):
        train(name, save_interval_steps=interval)
    before = lines(train.root / name)
    assert before[-1][3] > runs.newest(train.root / name)["asr_dro"]["position"]["steps"]
    assert lines(train(name, save_interval_steps=interval)) == lines(straight)


def test_trackers_that_are_not_installed_are_a_warning_each_and_change_nothing(
    train, straight, monkeypatch, caplog
):
    for name in ("wandb", "comet_ml", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.WARNING):
        exp = train("untracked", trackers=["comet", "mlflow"], use_wandb=True)
    said = [line for line in caplog.messages if "not installed" in line]
    assert len(said) == 3 and all("pip install" in line for line in said)
    assert runs.same_files(straight, exp) == [] and lines(straight) == lines(exp)
    assert not (exp / "tensorboard").exists()


# -- examples of augmentation ----------------------------------------------------------------------


def noisy(dump):
    """ESPnet's own noise, drawn from numpy's global generator in this process."""
    scp = str(dump / "dev" / "wav.scp")
    return {**runs.SEQUENCE, "noise_scp": scp, "noise_apply_prob": 1.0, "noise_db_range": "5_6"}


def test_pictures_and_sounds_of_an_utterance_of_each_group_are_written(train, dump):
    exp = train("noisy", **noisy(dump), max_epoch=1)
    folder = exp / "augmentation" / "epoch0001"
    pictures = sorted(folder.glob("*.png"))
    assert len(pictures) == 2
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.size == (900, 500) and len(image.getcolors(100000)) > 50
        name = picture.stem
        before, after = (
            soundfile.read(folder / f"{name}.{when}.wav") for when in ("before", "after")
        )
        scp = dict(line.split() for line in (dump / "train" / "wav.scp").read_text().splitlines())
        original, rate = soundfile.read(scp[name])
        assert before[1] == after[1] == rate and len(before[0]) == len(after[0])
        np.testing.assert_allclose(before[0], original, atol=1e-4)
        assert np.abs(before[0] - after[0]).max() > 0.01


@pytest.mark.parametrize("kind", ["planned", "noisy"])
def test_examples_do_not_change_the_training(train, dump, straight, kind):
    changes = noisy(dump) if kind == "noisy" else {}
    shown = train("shown", **changes, augmentation_interval=1) if changes else straight
    hidden = train(f"hidden_{kind}", **changes, augmentation_examples=0)
    assert (shown / "augmentation").exists() and not (hidden / "augmentation").exists()
    assert runs.same_files(shown, hidden) == []


def test_without_waveform_augmentation_there_is_one_sound_and_each_group_has_its_example(straight):
    names = sorted(path.name for path in (straight / "augmentation" / "epoch0001").iterdir())
    assert [name[:3] for name in names] == ["deu", "deu", "eng", "eng"]
    assert [name.split(".", 1)[1] for name in names] == ["before.wav", "png"] * 2


def test_examples_come_again_every_so_many_epochs_and_in_tensorboard(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    changes = {"augmentation_interval": 2, "augmentation_examples": 1, "use_tensorboard": True}
    exp = train("again", max_epoch=3, num_workers=1, **changes)
    folders = sorted(path.name for path in (exp / "augmentation").iterdir())
    assert folders == ["epoch0001", "epoch0003"]
    events = EventAccumulator(str(exp / "tensorboard" / "train")).Reload()
    (name,) = events.Tags()["images"]
    assert [event.step for event in events.Images(name)] == [0, 14]
    assert events.Tags()["audio"] == [f"{name}.before"]


def test_examples_that_cannot_be_made_are_one_warning_and_change_nothing(
    train, straight, monkeypatch, caplog
):
    def draw(_example, _path):
        np.random.rand(), torch.rand(3)  # noqa: NPY002
        raise ValueError("no fonts\nat all")

    monkeypatch.setattr(augmentation, "draw", draw)
    with caplog.at_level(logging.WARNING):
        exp = train("undrawn", augmentation_interval=1)
    said = [line for line in caplog.messages if "augmentation examples" in line]
    assert said == ["No more augmentation examples (ValueError: no fonts at all)."]
    assert runs.same_files(straight, exp) == []


# -- versions --------------------------------------------------------------------------------------


def test_versions_of_the_first_start_are_kept_and_another_is_added(train, straight, monkeypatch):
    (first,) = json.loads((straight / "versions.json").read_text())
    assert first["torch"] == torch.__version__.partition("+")[0] and first["from_update"] == 0
    named = {
        "asr-dro",
        "python",
        "espnet",
        "torch",
        "numpy",
        "git",
        "from_update",
        "cpu",
        "threads",
        "wall_seconds",
        "peak_memory_gib",
    }
    assert first["wall_seconds"] > 0 and 0.01 < first["peak_memory_gib"] < 100
    assert set(first) - {"espnet-s3prl", "fairseq-fixed", "transformers"} <= named
    shutil.copytree(straight, train.root / "updated", symlinks=True)
    monkeypatch.setattr(versions, "versions", lambda: {"torch": "99"})
    for _ in range(2):
        train("updated")
    entries = json.loads((train.root / "updated" / "versions.json").read_text())
    costs = {name: entries[1].pop(name) for name in ("wall_seconds", "peak_memory_gib")}
    assert entries == [first, {"torch": "99", "from_update": 4}] and min(costs.values()) > 0
