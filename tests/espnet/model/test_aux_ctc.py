"""Auxiliary targets teach the network; neither the groups' weights nor decoding see them."""

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.model import DROASRModel
from tests.espnet import tiny

UNITS = ["<blank>", "<unk>", "tʃ", "a", "iː", "<sos/eos>"]
SHARE = 0.3
CONF = {"hidden_size": 16, "num_blocks": 2, "kernel_size": 3, "dropout": 0.0}


def parts(encoder: str = "conv_ctc") -> dict:
    """A model's arguments, with a layer in the middle that may learn something else."""
    if encoder == "transformer":
        made = tiny.transformer_parts(interctc_layer_idx=[1], dropout_rate=0.0)
    else:
        made = tiny.parts(encoder_conf={**CONF, "interctc_layer_idx": [1]})
    return {**made, "interctc_weight": SHARE, "aux_ctc": {"1": "text_aux"}, "groups": tiny.NAMES}


def model(encoder: str = "conv_ctc", **changes) -> DROASRModel:
    torch.manual_seed(2)
    return DROASRModel(**{**parts(encoder), "aux_token_list": UNITS, **changes})


def batch(units: list[list[int]] | None = None, **changes) -> dict:
    rows = units or [[2, 3, 4], [3, 3], [4]]
    padded = torch.full((len(rows), max(map(len, rows))), -1)
    for row, ids in enumerate(rows):
        padded[row, : len(ids)] = torch.tensor(ids)
    lengths = torch.tensor([len(ids) for ids in rows])
    return {**tiny.batch(**changes), "text_aux": padded, "text_aux_lengths": lengths}


def gradients(loss, ours):
    return torch.autograd.grad(loss, list(ours.encoder.parameters()), retain_graph=True)


@pytest.mark.parametrize("encoder", ["conv_ctc", "transformer"])
def test_the_loss_has_the_value_of_the_letters_and_the_gradient_of_both(encoder):
    ours = model(encoder)
    found = ours.utterance_losses(**batch())
    plain = DROASRModel(**{**parts(encoder), "interctc_weight": 0.0, "aux_ctc": None})
    plain.load_state_dict(ours.state_dict(), strict=False)
    letters = plain.utterance_losses(**tiny.batch())
    torch.testing.assert_close(found.losses_B, letters.losses_B)
    # The same from its two parts, of one encoder's output.
    out, lengths = ours.encode(tiny.batch()["speech"], tiny.batch()["speech_lengths"])
    (last, ((_, middle),)), text = out, tiny.batch()
    labels = (batch()["text_aux"], batch()["text_aux_lengths"])
    aux = ours.ctc_aux.losses(middle, lengths, *labels)
    main = ours.ctc(last, lengths, text["text"], text["text_lengths"]) * len(aux)
    expected = gradients((1 - SHARE) * main + SHARE * aux.sum(), ours)
    for mine, theirs in zip(gradients(found.losses_B.sum(), ours), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_the_weights_of_the_groups_move_as_they_would_without():
    conf = {"step_size": 0.05, "update": "batch"}
    weights = []
    for changes in ({}, {"interctc_weight": 0.0, "aux_ctc": None, "aux_token_list": None}):
        ours = model(objective="ctc_dro", objective_conf=conf, **changes)
        ours.load_state_dict(model().state_dict(), strict=False)
        ours.train()(**(batch() if not changes else tiny.batch()))
        weights.append(ours.objective.relative_weights)
    torch.testing.assert_close(*weights)
    assert weights[0].std() > 0


def test_too_few_frames_for_the_units_leave_the_text_to_be_learnt():
    ours = model()
    found = ours.utterance_losses(**batch([[2, 3], [3] * 30, [4]]))
    assert found.losses_B.isfinite().all() and not found.bad_B.any()
    assert ours.ctc_aux.losses(
        torch.randn(1, 4, 16), torch.tensor([4]), torch.tensor([[3] * 3]), torch.tensor([3])
    ).tolist() == [0.0]  # three equal units want five frames


def test_an_utterance_that_has_no_alignment_for_its_text_learns_nothing():
    ours = model()
    given = batch([[2], [2]], lengths=(16000, 2000), labels=(3, 4), group_ids=(0, 1))
    given["text"][1] = 5
    found = ours.utterance_losses(**given)
    assert found.bad_B.tolist() == [False, True]
    found.mean(found.losses_B).backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters() if p.grad is not None)


def test_evaluation_reports_loss_and_unit_errors_by_group():
    ours = model(objective="ctc").eval()
    with torch.no_grad():  # every frame says unit 3
        ours.ctc_aux.ctc_lo.weight.zero_()
        ours.ctc_aux.ctc_lo.bias.copy_(torch.tensor([0, 0, 0, 9.0, 0, 0]))
    loss, stats, _ = ours(**batch([[3], [3, 4], [2]], group_ids=(0, 1, 1)))
    assert stats["loss_interctc_layer1"] > 0 and "cer_interctc_layer1" not in stats
    assert loss.item() == pytest.approx(stats["loss_ctc"].item())  # letters alone
    found = ours.validation.stats(tiny.NAMES)
    rates = {key: value for key, value in found.items() if key.startswith("ter_aux")}
    assert rates == {"ter_aux": 0.5, "ter_aux_deu": 0.0, "ter_aux_eng": pytest.approx(2 / 3)}
    ours.validation.reset()
    assert not [key for key in ours.validation.stats(tiny.NAMES) if "aux" in key]


def test_letters_between_the_layers_beside_units_keep_their_share():
    conf = {**CONF, "num_blocks": 3, "interctc_layer_idx": [1, 2]}
    made = {**parts(), "encoder": tiny.parts(encoder_conf=conf)["encoder"], "aux_token_list": UNITS}
    ours = DROASRModel(**made).eval()
    found = ours.utterance_losses(**batch())
    out, lengths = ours.encode(tiny.batch()["speech"], tiny.batch()["speech_lengths"])
    text = tiny.batch()
    losses = [
        ours.ctc(x, lengths, text["text"], text["text_lengths"]) for x in (out[0], out[1][1][1])
    ]
    expected = (1 - SHARE / 2) * losses[0] + SHARE / 2 * losses[1]
    torch.testing.assert_close(found.losses_B.mean(), expected)


def test_units_without_a_list_a_batch_without_units_and_no_objective_are_refused():
    with pytest.raises(UserError, match="whose list of units is not given. Give --aux_token_list"):
        model(aux_token_list=None)
    with pytest.raises(UserError, match="the data has no text_aux. Give a data entry"):
        model().utterance_losses(**tiny.batch())
    with pytest.raises(UserError, match="text_aux needs an objective"):
        model()(**batch())
