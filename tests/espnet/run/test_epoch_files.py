"""A training leaves the files that its YAML asks for, and no other."""

import logging
import math
import os
import signal

import pytest
import torch

from asr_dro_plugin.errors import TrainingStopped
from asr_dro_plugin.espnet.run.epoch_end import EpochEnd
from asr_dro_plugin.espnet.run.training_epoch import TrainingEpoch
from asr_dro_plugin.espnet.run.training_run import TrainingRun
from tests.espnet import runs

WORST, MACRO = "worst_group_cer", "macro_cer"
# Of epochs 1, 2 ...; the fourth has diverged.  By WORST the best are 2 and 3, by MACRO 1 and 2.
FIGURES = {WORST: [5.0, 2.0, 3.0, math.nan, 4.0], MACRO: [0.9, 0.4, 0.1, math.nan, 0.2]}
CHANGES = {
    "use_matplotlib": False,
    "augmentation_examples": 0,
    "sanity_batches": 0,
    "probe_memory": False,
    "save_interval_steps": 0,
    "max_epoch": 5,
    "keep_nbest_models": 2,
    "best_model_criterion": [["valid", WORST, "min"], ["valid", MACRO, "max"]],
}


@pytest.fixture
def links(monkeypatch):
    """The best links after each epoch; the figures are those of ``FIGURES``."""
    validate, tidy, seen = TrainingRun._validate_epoch, EpochEnd.tidy, []

    def with_figures(self, epoch):
        validate(self, epoch)
        values = {name: column[epoch - 1] for name, column in FIGURES.items()}
        self.reporter.add_values("valid", values)

    def with_look(self, epoch):
        tidy(self, epoch)
        paths = (self.run.output_dir / f"valid.{name}.best.pth" for name in (WORST, MACRO))
        seen.append(tuple(os.readlink(path).removesuffix("epoch.pth") for path in paths))

    monkeypatch.setattr(TrainingRun, "_validate_epoch", with_figures)
    monkeypatch.setattr(EpochEnd, "tidy", with_look)
    return seen


@pytest.fixture
def train(task, dump, tmp_path, links):
    def run(**changes):
        task.main(cmd=runs.command(dump, tmp_path / "exp", **{**CHANGES, **changes}))
        return tmp_path / "exp"

    run.exp = tmp_path / "exp"
    return run


def models(exp) -> dict[str, str]:
    """Model files and, of links, where they point to; checkpoints are not among them."""
    return {
        path.name: os.readlink(path) if path.is_symlink() else "file"
        for path in exp.glob("*.pth")
        if not path.name.startswith("checkpoint")
    }


def expected(epochs, best, averages=(2,), latest=5):
    """What there must be: models of ``epochs``, links to the ``best`` by WORST and by MACRO."""
    files = {f"{epoch}epoch.pth": "file" for epoch in epochs}
    files["latest.pth"] = f"{latest}epoch.pth"
    for name, epoch in zip((WORST, MACRO), best, strict=True):
        files[f"valid.{name}.best.pth"] = f"{epoch}epoch.pth"
        files[f"valid.{name}.ave.pth"] = f"valid.{name}.ave_{max(averages)}best.pth"
        for number in averages:
            single = number == 1
            files[f"valid.{name}.ave_{number}best.pth"] = f"{epoch}epoch.pth" if single else "file"
    return files


def test_the_best_two_of_each_criterion_and_the_latest_are_kept(train, links, caplog):
    with caplog.at_level(logging.INFO):
        exp = train()
    assert models(exp) == expected(epochs=(1, 2, 3, 5), best=(2, 1))
    assert links == [("1", "1"), *[("2", "1")] * 4]
    said = [r.getMessage() for r in caplog.records if r.module == "epoch_end"]
    said = [line for line in said if "best model" in line or "improvements" in line]
    assert said == [
        f"The best model has been updated: valid.{WORST}, valid.{MACRO}",
        f"The best model has been updated: valid.{WORST}",
        *["There are no improvements in this epoch"] * 3,
    ]
    one, two, average = (
        torch.load(exp / name, weights_only=True)["ctc.ctc_lo.weight"]
        for name in ("1epoch.pth", "2epoch.pth", f"valid.{MACRO}.ave_2best.pth")
    )
    torch.testing.assert_close(average, (one + two) / 2)


def test_beside_the_models_there_are_two_checkpoints_and_no_remains(train):
    exp = train(max_epoch=3)
    names = {path.name for path in exp.rglob("*") if path.is_file()} - set(models(exp))
    checkpoints = {name for name in names if name.startswith("checkpoint.0")}
    assert len(checkpoints) == 4  # two, each with its checksum
    others = names - checkpoints
    records = {"seen.json", "group_losses.json", "metrics.jsonl", "versions.json"}
    assert others == {"checkpoint.pth", "config.yaml", *records}


@pytest.mark.parametrize("keep", [1, [1, 3]])
def test_several_averages_keep_as_many_models_as_the_largest_needs(train, keep):
    exp = train(keep_nbest_models=keep)
    # The best three are by WORST 2, 3, 5 and by MACRO 1, 2, 5.
    kept = (1, 2, 5) if keep == 1 else (1, 2, 3, 5)
    averages = (1,) if keep == 1 else (1, 3)
    assert models(exp) == expected(kept, best=(2, 1), averages=averages)


def test_a_training_that_was_stopped_on_the_way_leaves_the_same_files(train, monkeypatch, links):
    step, done = TrainingEpoch._step, []

    def with_stop(self, *args):
        step(self, *args)
        if self.run.position.epoch == 4 and not done:
            done.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingEpoch, "_step", with_stop)
    with pytest.raises(TrainingStopped):
        train()
    assert models(train.exp) == {
        name: where
        for name, where in expected((1, 2, 3), best=(2, 1), latest=3).items()
        if ".ave" not in name
    }
    assert models(train()) == expected(epochs=(1, 2, 3, 5), best=(2, 1))
    assert links[-1] == ("2", "1")


def test_a_training_that_ends_early_leaves_the_files_of_the_epochs_it_had(train, links):
    # The second epoch is the best; the diverged fourth is the second one after it.
    exp = train(patience=1, early_stopping_criterion=["valid", WORST, "min"])
    assert len(links) == 4
    assert models(exp) == expected(epochs=(1, 2, 3, 4), best=(2, 1), latest=4)


def test_the_model_of_a_diverged_last_epoch_is_the_latest_and_nothing_else(train):
    exp = train(max_epoch=4)
    assert models(exp) == expected(epochs=(1, 2, 3, 4), best=(2, 1), latest=4)
