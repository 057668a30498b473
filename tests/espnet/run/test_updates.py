"""Optimizer steps that are skipped, counted, and end training."""

import logging
from types import SimpleNamespace

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater, untimed

OPTIONS = SimpleNamespace(grad_clip=5.0, grad_clip_type=2.0, grad_noise=False, ddp_comm_hook=None)


def updater_of(limit=3):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    skipped = SkippedSteps(limit, ["deu", "eng"])
    return model, Updater(model, [optimizer], [None], None, OPTIONS, Ranks(), skipped)


def give_gradient(model, value):
    for param in model.parameters():
        param.grad = torch.full_like(param, value)


def step(model, updater, value, utt_ids=("a", "b"), group_ids=(0, 1)):
    updater.note_batch(list(utt_ids), list(group_ids))
    give_gradient(model, value)
    return updater.update(1, untimed)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_changes_no_weight_and_is_counted(value, caplog):
    model, updater = updater_of()
    before = {name: param.clone() for name, param in model.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        step(model, updater, value)
    assert all(torch.equal(before[name], param) for name, param in model.state_dict().items())
    assert updater.skipped.total == updater.skipped.in_a_row == 1 and updater.updates == 0
    assert updater.skipped.by_group == {"deu": 1, "eng": 1}
    assert "Utterances: a b" in caplog.text and "deu:1 eng:1" in caplog.text
    assert all(param.grad is None for param in model.parameters())


def test_a_good_step_ends_the_row():
    model, updater = updater_of(limit=2)
    for value in (float("nan"), 1.0, float("nan"), 1.0):
        step(model, updater, value)
    assert updater.skipped.total == 2 and updater.skipped.in_a_row == 0 and updater.updates == 2


def test_too_many_in_a_row_end_training_with_the_utterances_named():
    model, updater = updater_of(limit=2)
    step(model, updater, float("nan"))
    with pytest.raises(UserError, match=r"2 steps in a row .*the last: c d.*is intact"):
        step(model, updater, float("nan"), utt_ids=("c", "d"))


def test_only_the_utterances_of_the_skipped_step_are_named(caplog):
    model, updater = updater_of()
    step(model, updater, 1.0, utt_ids=("good",), group_ids=(0,))
    updater.note_batch(["first"], [0])
    step(model, updater, float("nan"), utt_ids=("second",), group_ids=(1,))
    assert updater.skipped.utt_ids == ["first", "second"]


def test_counts_survive_a_checkpoint():
    model, updater = updater_of()
    step(model, updater, float("nan"))
    restored = SkippedSteps(3, ["deu", "eng"])
    restored.load_state_dict(updater.skipped.state_dict())
    assert restored.state_dict() == updater.skipped.state_dict()


def test_a_step_is_clipped_and_reported_as_espnet_does():
    model, updater = updater_of()
    stats = step(model, updater, 100.0)
    assert float(stats["clip"]) == 100 and float(stats["grad_norm"]) == pytest.approx(30000**0.5)
    assert updater.learning_rates() == {"optim0_lr0": 0.1}
