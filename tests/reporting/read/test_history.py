"""The course of a training from its metrics.jsonl."""

import numpy as np
import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.read.history import read_history

EPOCHS, INTERVALS = 3, 2


def figures(epoch, part=0):
    """(train, valid) of an epoch."""
    train = {"loss": 100 / epoch - part, "iter_time": 0.25}
    if not part:
        train |= {"q_deu": 0.5 + epoch / 8, "q_eng": 0.5 - epoch / 8}
    return train, {"cer_deu": 1 / epoch, "cer_eng": 0.5 / epoch, "cer_ctc": 0.7, "loss": 8.0}


def write_metrics(exp):
    exp.mkdir(parents=True)
    with (exp / "metrics.jsonl").open("w") as stream:
        for epoch in range(1, EPOCHS + 1):
            for part in range(1, INTERVALS + 1):
                step = 2 * (epoch - 1) + part
                train, _ = figures(epoch, part)
                stream.write(
                    f"{Record('train', epoch, step, step, False, step, train).to_json()}\n"
                )
            train, valid = figures(epoch)
            for phase, values in (("train", train), ("valid", valid)):
                stream.write(f"{Record(phase, epoch, step, step, True, step, values).to_json()}\n")


@pytest.fixture
def exp(tmp_path):
    write_metrics(tmp_path / "exp")
    return tmp_path / "exp"


def test_means_of_epochs_and_figures_within_them_are_told_apart(exp):
    history = read_history(exp)
    loss = history.series("train", "loss")
    assert loss.epochs.tolist() == [1, 2, 3] and loss.steps.tolist() == [2, 4, 6]
    np.testing.assert_allclose(loss.values, [100, 50, 100 / 3], rtol=1e-6)
    steps, epochs, values = history.series("train", "loss", whole=False)
    assert steps.tolist() == [1, 2, 3, 4, 5, 6] and epochs.tolist() == [1, 1, 2, 2, 3, 3]
    np.testing.assert_allclose(values, [99, 98, 49, 48, 100 / 3 - 1, 100 / 3 - 2], rtol=1e-6)


def test_figures_of_groups_have_one_value_an_epoch(exp):
    history = read_history(exp)
    assert history.groups() == ["deu", "eng"]
    cer, q = history.series("valid", "cer_deu"), history.series("train", "q_eng")
    assert cer.epochs.tolist() == q.epochs.tolist() == [1, 2, 3]
    np.testing.assert_allclose(cer.values, [1, 0.5, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(q.values, [0.375, 0.25, 0.125], rtol=1e-6)
    assert len(history.series("valid", "no_such_figure").values) == 0


def test_the_newest_record_is_that_of_the_last_report(exp):
    newest = read_history(exp).newest()
    assert newest.epoch == 3 and newest.whole


def test_an_experiment_without_figures_is_empty_and_a_folder_that_is_not_there_is_refused(tmp_path):
    history = read_history(tmp_path)
    assert history.groups() == [] and history.newest() is None
    with pytest.raises(UserError, match="no folder of an experiment"):
        read_history(tmp_path / "gone")
