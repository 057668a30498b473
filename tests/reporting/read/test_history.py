"""The course of a training is the same from either file."""

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

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


def write_events(exp, first=1, last=EPOCHS, parts_of_next=0):
    """As ``SubReporter`` and ``Reporter`` of ESPnet write them."""
    train_writer, valid_writer = (
        SummaryWriter(str(exp / "tensorboard" / phase)) for phase in ("train", "valid")
    )
    for epoch in range(first, last + 2):
        for part in range(1, (INTERVALS if epoch <= last else parts_of_next) + 1):
            for name, value in figures(epoch, part)[0].items():
                train_writer.add_scalar(name, value, 2 * (epoch - 1) + part)
        if epoch <= last:
            train_writer.add_scalar("iter_epoch", epoch, 2 * epoch)
            for writer, values in zip((train_writer, valid_writer), figures(epoch), strict=True):
                for name, value in values.items():
                    writer.add_scalar(name, value, 2 * epoch)
    train_writer.close()
    valid_writer.close()


@pytest.fixture(params=["jsonl", "events", "events of a resumed run"])
def exp(request, tmp_path):
    path = tmp_path / "exp"
    if request.param == "jsonl":
        write_metrics(path)
    elif request.param == "events":
        write_events(path)
    else:  # killed in epoch 3, gone on from the end of epoch 1
        write_events(path, last=2, parts_of_next=1)
        for event_file in path.rglob("events*"):  # their names hold the second and a counter
            event_file.rename(event_file.with_name("events.out.tfevents.1.first"))
        write_events(path, first=2)
    return path


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


def test_events_that_are_cut_at_the_end_are_read_up_to_there(tmp_path):
    write_events(tmp_path)
    path = next((tmp_path / "tensorboard" / "valid").iterdir())
    path.write_bytes(path.read_bytes()[:-10])
    assert read_history(tmp_path).series("valid", "loss").epochs.tolist() == [1, 2]
    assert read_history(tmp_path).series("valid", "cer_deu").epochs.tolist() == [1, 2, 3]


def test_an_experiment_without_figures_is_empty_and_a_folder_that_is_not_there_is_refused(tmp_path):
    history = read_history(tmp_path)
    assert history.groups() == [] and history.newest() is None
    with pytest.raises(UserError, match="no folder of an experiment"):
        read_history(tmp_path / "gone")


def test_events_that_are_damaged_in_the_middle_are_named(tmp_path):
    write_events(tmp_path)
    path = next((tmp_path / "tensorboard" / "train").iterdir())
    content = bytearray(path.read_bytes())
    start = content.index(b"iter_time") - 4
    content[start : start + 4] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path.name} is damaged"):
        read_history(tmp_path)
