"""ESPnet's model under an objective: the same as ESPnet's where the method says so."""

import copy

import pytest
import torch
from espnet2.asr.espnet_model import ESPnetASRModel

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.model import DROASRModel
from asr_dro_plugin.objectives import OBJECTIVES
from tests.espnet import tiny

STACKS = {
    "conv_ctc": tiny.parts,
    "transformer": tiny.transformer_parts,
    "ctc_dropout": lambda: tiny.parts(ctc_conf={"dropout_rate": 0.2}),
}


def models(stack, **ours):
    """ESPnet's model and ours with equal parameters in separate memory."""
    torch.manual_seed(0)
    made = STACKS[stack]()
    theirs = ESPnetASRModel(**made)
    return theirs, DROASRModel(**copy.deepcopy(made), groups=tiny.NAMES, **ours)


def step(model, optimizer, seed, **batch):
    """One update; loss and gradients."""
    torch.manual_seed(seed)
    optimizer.zero_grad()
    loss, _, weight = model(**tiny.batch(seed=seed, **batch))
    loss.backward()
    optimizer.step()
    assert weight.tolist() == [3]
    return [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_at_step_0_loss_and_gradients_are_espnets_to_the_bit(stack, objective):
    theirs, ours = models(stack, objective=objective)
    results = [step(m, torch.optim.SGD(m.parameters(), 0.0), 1) for m in (theirs, ours)]
    assert len(results[0]) > 4
    for their, mine in zip(*results, strict=True):
        assert torch.equal(their, mine)


def test_objective_ctc_trains_exactly_like_espnet():
    theirs, ours = models("conv_ctc", objective="ctc")
    for model in (theirs, ours):
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for seed in range(4):
            step(model, optimizer, seed)
    learnt = ours.state_dict()
    for name, their in theirs.state_dict().items():
        assert torch.equal(their, learnt[name]), name


def test_after_a_round_the_utterances_weigh_what_their_group_does():
    conf = {"signal": "sum", "step_size_rel": 0.5}
    theirs, ours = models("conv_ctc", objective="ctc_dro", objective_conf=conf)
    ours.train()
    batch = tiny.batch(group_ids=(0, 1, 2))
    torch.manual_seed(3)
    loss, _, _ = ours(**batch)
    weights = ours.objective.group_weights * 3
    assert int(ours.objective.num_updates) == 1
    assert weights.std() > 0.01
    torch.manual_seed(3)
    parts = ours.utterance_losses(**tiny.batch(group_ids=(0, 1, 2)))
    expected = (weights * parts.losses_B).sum() / 3
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_in_evaluation_the_loss_is_plain_and_the_weights_rest():
    theirs, ours = models("conv_ctc", objective="ctc_dro", objective_conf={"reduction": "batch"})
    ours(**tiny.batch(group_ids=(0, 1, 2)))
    before = {name: value.clone() for name, value in ours.objective.state_dict().items()}
    loss, stats, _ = ours.eval()(**tiny.batch(group_ids=(0, 1, 2)))
    expected, their_stats, _ = theirs.eval()(**tiny.batch())
    assert torch.equal(loss, expected)
    assert stats["cer_ctc"].tolist() == their_stats["cer_ctc"].tolist()
    for name, value in ours.objective.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_training_reports_the_same_names_in_every_step():
    _, ours = models("conv_ctc", objective="ctc_dro")
    spoilt = tiny.batch(lengths=(2000, 2000, 2000), labels=(5, 5, 5))
    first, second = (set(ours(**batch)[1]) for batch in (tiny.batch(), spoilt))
    assert first == second >= {"loss", "loss_ctc"}


def test_a_batch_of_unusable_utterances_has_loss_0_and_no_gradient():
    _, ours = models("conv_ctc", objective="ctc_dro")
    loss, _, weight = ours(**tiny.batch(lengths=(1600,) * 3, labels=(5, 5, 5)))
    loss.backward()
    assert loss.tolist() == [0.0]
    assert all(p.grad.eq(0).all() for p in ours.parameters() if p.grad is not None)
    assert sum(ours.objective.read_log()["skipped"]) == 3


def test_without_an_objective_the_loss_is_espnets_own():
    theirs, ours = models("conv_ctc")
    assert not any(name.startswith("objective.") for name in ours.state_dict())
    results = [step(m, torch.optim.SGD(m.parameters(), 0.0), 1) for m in (theirs, ours)]
    assert torch.equal(results[0][0], results[1][0])


def test_an_objective_without_groups_is_refused():
    with pytest.raises(UserError, match="objective ctc_dro needs groups. Give --groups"):
        DROASRModel(**tiny.parts(), objective="ctc_dro")


def test_another_ctc_has_no_loss_by_utterance():
    made = tiny.parts()
    made["ctc"].ctc_type = "gtnctc"
    with pytest.raises(UserError, match="ctc_conf.ctc_type gtnctc does not give"):
        DROASRModel(**made, groups=tiny.NAMES, objective="ctc_dro")
    assert DROASRModel(**made, groups=tiny.NAMES).objective is None


def test_a_classifier_has_no_loss_by_utterance():
    from espnet2.asr.decoder.linear_decoder import LinearDecoder

    made = {**tiny.parts(), "ctc_weight": 0.0}
    made["decoder"] = LinearDecoder(len(tiny.TOKENS), made["encoder"].output_size())
    with pytest.raises(UserError, match="a transducer or linear decoder does not give"):
        DROASRModel(**made, groups=tiny.NAMES, objective="ctc")


def test_a_batch_without_group_ids_is_refused():
    _, ours = models("conv_ctc", objective="ctc_dro")
    batch = tiny.batch()
    del batch["group_ids"]
    with pytest.raises(UserError, match="utt2group,group_ids,text_int"):
        ours(**batch)


def test_an_older_model_loads_and_begins_with_equal_weights():
    _, older = models("conv_ctc")
    _, ours = models("conv_ctc", objective="ctc_dro")
    ours.load_state_dict(older.state_dict())
    assert ours.objective.group_weights.tolist() == pytest.approx([1 / 3] * 3)
