"""Gradients of a batch: the same in one piece, in several, and after a failed attempt."""

import contextlib
import copy

import pytest
import torch
from espnet2.asr.espnet_model import ESPnetASRModel

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.model import DROASRModel
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.run.oom_retry import split
from asr_dro_plugin.espnet.run.steps import Stepper, joined
from tests.espnet import tiny

LENGTHS, LABELS = (16000, 12000, 9000, 8000), (5, 4, 2, 2)
DRY = {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "dropout": 0.0}
CONF = {"objective": "ctc_dro", "objective_conf": {"step_size_rel": 5.0}}


def untimed(_name):
    return contextlib.nullcontext()


def model_of(encoder_conf=DRY, **changes):
    torch.manual_seed(0)
    made = tiny.parts(encoder_conf=encoder_conf)
    return DROASRModel(**made, groups=tiny.NAMES, **{**CONF, **changes}).train()


def batch_of(seed=0, group_ids=(0, 1, 1, 2)):
    batch = tiny.batch(LENGTHS, LABELS, seed, group_ids)
    return batch.pop("utt_id"), batch


def stepper_of(model, accum_grad=1):
    return Stepper(model, None, accum_grad, Ranks(), on_gpu=False)


def gradients(model):
    return {name: param.grad for name, param in model.named_parameters() if param.grad is not None}


class NoRoom:
    """Runs out of memory for more than ``limit`` utterances, in the encoder or in its gradient."""

    def __init__(self, model, limit, where):
        self.limit = limit
        hook = self.forward if where == "forward" else self.backward
        model.encoder.register_forward_hook(hook)

    def forward(self, _module, inputs, _outputs):
        if len(inputs[0]) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    def backward(self, _module, inputs, outputs):
        if len(inputs[0]) > self.limit and outputs[0].requires_grad:
            outputs[0].register_hook(self.refuse)

    def refuse(self, _grad):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")


def trained(limit=None, where="forward", steps=3, accum_grad=1, **changes):
    """A model after some batches' gradients, and its stepper."""
    model = model_of(**changes)
    if limit is not None:
        NoRoom(model, limit, where)
    stepper = stepper_of(model, accum_grad)
    results = [stepper.backward(*batch_of(seed), timer=untimed) for seed in range(steps)]
    return model, stepper, results


def largest_deviation(one, two):
    """Largest difference of a gradient, relative to the largest gradient."""
    scale = max(float(grad.abs().max()) for grad in one.values())
    return max(float((one[name] - two[name]).abs().max()) for name in one) / scale


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("reduction", ["utterance", "batch"])
def test_a_split_batch_gives_the_gradient_of_the_whole(where, limit, reduction):
    conf = {"objective_conf": {"step_size_rel": 5.0, "reduction": reduction}}
    whole, _, _ = trained(accum_grad=3, **conf)
    parts, stepper, _ = trained(limit, where, accum_grad=3, **conf)
    assert stepper.num_split == 3
    assert largest_deviation(gradients(whole), gradients(parts)) < 1e-5
    assert max(float(grad.abs().max()) for grad in gradients(whole).values()) > 1e-3


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_split_batch_advances_the_group_weights_once(where):
    whole, _, _ = trained()
    parts, _, _ = trained(2, where)
    one, two = whole.objective.state_dict(), parts.objective.state_dict()
    assert int(one["num_updates"]) == 3
    assert float((whole.objective.group_weights - 1 / 3).abs().max()) > 0.01
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-7, equal_nan=True)


def test_a_split_batch_reports_the_loss_of_the_whole():
    _, _, whole = trained()
    _, _, parts = trained(1, "backward")
    for one, two in zip(whole, parts, strict=True):
        assert sorted(one.stats) == sorted(two.stats) and one.weight == two.weight
        torch.testing.assert_close(two.stats["loss"], one.stats["loss"], rtol=1e-5, atol=0)


def test_the_deviation_with_dropout_is_said(caplog):
    wet = {**DRY, "dropout": 0.1}
    whole, _, _ = trained(steps=1, encoder_conf=wet)
    parts, _, _ = trained(2, steps=1, encoder_conf=wet)
    deviation = largest_deviation(gradients(whole), gradients(parts))
    print(f"largest deviation of a gradient with dropout 0.1: {deviation:.1e}")
    assert "dropout make its gradient differ" in caplog.text.replace("makes", "make")


def test_an_utterance_that_does_not_fit_alone_ends_training_by_name():
    with pytest.raises(UserError, match=r"utt0 \(16000 samples\) does not fit"):
        trained(0, "forward", steps=1)


def test_gradients_of_earlier_batches_survive_a_failed_attempt():
    whole, _, _ = trained(steps=2, accum_grad=2)
    model = model_of()
    stepper = stepper_of(model, accum_grad=2)
    stepper.backward(*batch_of(0), timer=untimed)
    NoRoom(model, 2, "backward")
    stepper.backward(*batch_of(1), timer=untimed)
    assert largest_deviation(gradients(whole), gradients(model)) < 1e-5


@pytest.mark.parametrize("limit", [None, 2])
def test_espnets_own_model_is_split_as_well(limit):
    torch.manual_seed(0)
    made = tiny.parts(encoder_conf=DRY)
    whole, parts = ESPnetASRModel(**made).train(), None
    parts = copy.deepcopy(whole)
    # Of one length: ESPnet's STFT mirrors the signal where a batch ends.
    batch = tiny.batch((12000,) * 4, LABELS, group_ids=(0, 1, 1, 2))
    utt_ids = batch.pop("utt_id")
    loss, _, _ = whole(**copy.deepcopy(batch), utt_id=utt_ids)
    loss.backward()
    if limit is not None:
        NoRoom(parts, limit, "forward")
    stepper_of(parts).backward(utt_ids, batch, timer=untimed)
    deviation = largest_deviation(gradients(whole), gradients(parts))
    assert deviation == 0 if limit is None else deviation < 1e-5


def test_a_batch_without_utterances_changes_nothing():
    model = model_of()
    before = copy.deepcopy(model.objective.state_dict())
    result = stepper_of(model).backward([], {}, timer=untimed)
    assert result.weight == 0 and result.stats == {} and not gradients(model)
    for name in ("relative_weights", "pending", "log", "mean_loss", "num_updates"):
        assert torch.equal(getattr(model.objective, name), before[name]), name


def test_losses_of_pieces_join_to_those_of_the_batch():
    model = model_of().eval()
    utt_ids, batch = batch_of()
    whole = model.utterance_losses(**batch, utt_id=utt_ids)
    parts = joined(model.utterance_losses(**p) for p in split({**batch, "utt_id": utt_ids}, 3))
    for name in ("losses_B", "group_ids_B", "durations_B", "num_labels_B", "bad_B"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


CONFORMER = {"output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 1}


def test_a_batch_of_nan_leaves_the_running_statistics_finite():
    torch.manual_seed(0)
    made = tiny.parts("conformer", encoder_conf={**CONFORMER, "cnn_module_kernel": 3})
    model = DROASRModel(**made, groups=tiny.NAMES, **CONF).train()
    stepper = stepper_of(model)
    stepper.backward(*batch_of(0), timer=untimed)
    name = next(key for key, _ in model.named_buffers() if key.endswith("running_mean"))
    before = dict(model.named_buffers())[name].clone()
    assert before.abs().max() > 0
    utt_ids, batch = batch_of(1)
    batch["speech"][0, 100] = float("nan")
    stepper.backward(utt_ids, batch, timer=untimed)
    statistics = {key: b for key, b in model.named_buffers() if "running_" in key}
    assert all(bool(buffer.isfinite().all()) for buffer in statistics.values())
    stepper.backward(*batch_of(2), timer=untimed)
    assert not torch.equal(dict(model.named_buffers())[name], before)
