"""The loss of each utterance adds up to ESPnet's loss of the batch, part by part."""

import pytest
import torch
from espnet2.asr.ctc import CTC
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.legacy.nets.pytorch_backend.transformer.label_smoothing_loss import LabelSmoothingLoss
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.losses import (
    accuracy,
    attention_losses,
    ctc_losses,
    num_needed_frames,
)
from asr_dro_plugin.espnet.model.model import DROASRModel
from tests.espnet import tiny


def gradients(module):
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def ctc_inputs(seed=0, num=4, frames=40, size=8):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(num, frames, size, generator=generator)
    lens = torch.tensor([frames, frames - 7, frames - 11, frames // 2])
    batch = tiny.batch(lengths=(1, 1, 1, 1), labels=(6, 5, 3, 2), seed=seed, group_ids=(0,) * 4)
    return hidden, lens, batch["text"], batch["text_lengths"]


def test_ctc_sum_over_b_and_its_gradient_are_espnets_to_the_bit():
    hidden, lens, text, text_lens = ctc_inputs()
    results = []
    for ours in (False, True):
        torch.manual_seed(1)
        ctc, inputs = CTC(10, 8, dropout_rate=0.3), hidden.clone().requires_grad_()
        arguments = (inputs, lens, text, text_lens)
        loss = ctc_losses(ctc, *arguments).sum() / 4 if ours else ctc(*arguments)
        loss.backward()
        results.append([loss, inputs.grad, *gradients(ctc)])
    for theirs, mine in zip(*results, strict=True):
        assert torch.equal(theirs, mine)


def test_ctc_dropout_rests_in_evaluation():
    ctc = CTC(10, 8, dropout_rate=0.5).eval()
    first, second = (ctc_losses(ctc, *ctc_inputs()) for _ in range(2))
    assert torch.equal(first, second)


@given(
    rows=st.lists(st.lists(st.integers(5, 7), min_size=1, max_size=6), min_size=1, max_size=4),
    frames=st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_an_utterance_needs_as_many_frames_as_torch_finds(rows, frames):
    lengths = torch.tensor([len(row) for row in rows])
    text = torch.full((len(rows), 8), -1)
    for row, labels in enumerate(rows):
        text[row, : len(labels)] = torch.tensor(labels)
    log_probs = torch.zeros(frames, len(rows), 10).log_softmax(-1)
    lens = torch.full((len(rows),), frames)
    loss = torch.nn.functional.ctc_loss(log_probs, text, lens, lengths, reduction="none")
    assert torch.equal(num_needed_frames(text, lengths) > frames, loss.isinf())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("normalize_length", [False, True])
def test_attention_losses_average_to_espnets_with_its_gradient(smoothing, normalize_length):
    torch.manual_seed(0)
    logits, target = torch.randn(3, 5, 10), torch.randint(0, 10, (3, 5))
    target[1, 3:] = target[2, 1:] = -1
    criterion = LabelSmoothingLoss(10, -1, smoothing, normalize_length)
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = attention_losses(criterion, mine, target)
    loss = criterion(theirs, target)
    torch.testing.assert_close(losses.mean(), loss, rtol=1e-5, atol=0)
    losses.mean().backward()
    loss.backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-5, atol=1e-8)
    one = attention_losses(criterion, logits[1:2], target[1:2])
    if not normalize_length:  # an utterance's loss knows nothing of its company
        torch.testing.assert_close(one[0], losses[1])


def test_accuracy_counts_labels_that_are_no_padding():
    predicted, target = torch.tensor([[1, 2, 3], [4, 4, 4]]), torch.tensor([[1, 2, 9], [4, -1, -1]])
    assert float(accuracy(predicted, target, -1)) == 0.75


@pytest.fixture(params=["ctc", "hybrid", "attention", "interctc", "hybrid_interctc"])
def twins(request):
    """ESPnet's model and ours with equal parameters, for each kind of loss."""
    name = request.param
    if "interctc" in name:
        made = tiny.transformer_parts(interctc_layer_idx=[1], interctc_use_conditioning=True)
        made["interctc_weight"] = 0.4
    else:
        made = tiny.parts(decoder=name != "ctc")
    if "hybrid" in name and made["decoder"] is None:
        made["decoder"] = tiny.attention_decoder(made["encoder"].output_size())
    made["ctc_weight"] = {"hybrid": 0.3, "hybrid_interctc": 0.3, "attention": 0.0}.get(name, 1.0)
    made["lsm_weight"] = 0.1
    theirs = ESPnetASRModel(**made)
    ours = DROASRModel(**made, groups=tiny.NAMES)  # the same modules, the same parameters
    return name, theirs, ours


def test_their_mean_is_espnets_loss_and_gives_its_gradient(twins):
    _, theirs, ours = twins
    batch = tiny.batch()
    torch.manual_seed(5)
    loss, stats, _ = theirs(**tiny.batch())
    loss.backward()
    expected = gradients(theirs)
    theirs.zero_grad()
    torch.manual_seed(5)
    parts = ours.utterance_losses(**batch)
    mean = parts.mean(parts.losses_B)
    mean.backward()
    torch.testing.assert_close(mean[None], loss, rtol=1e-5, atol=0)
    for mine, their in zip(gradients(ours), expected, strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-4, atol=1e-7)
    found = ours.stats_of(parts, mean)
    assert set(found) >= {key for key, value in stats.items() if value is not None}
    for key, value in stats.items():
        if value is not None:
            assert float(found[key]) == pytest.approx(float(value), rel=1e-5), key


def test_in_evaluation_they_have_the_error_rates_of_espnet(twins):
    name, theirs, ours = twins
    _, stats, _ = theirs.eval()(**tiny.batch())
    ours.eval()
    parts = ours.utterance_losses(**tiny.batch())
    found = ours.stats_of(parts, parts.mean(parts.losses_B))
    rates = [key for key, value in stats.items() if value is not None and "er" in key]
    assert rates, name
    for key in rates:
        assert float(found[key]) == pytest.approx(float(stats[key])), key


def test_a_decoders_language_token_comes_first_as_in_espnet():
    made = {**tiny.parts(decoder=True), "ctc_weight": 0.5, "lang_token_id": 2}
    made["decoder"].eval()
    theirs, ours = ESPnetASRModel(**made).eval(), DROASRModel(**made, groups=tiny.NAMES).eval()
    expected, _, _ = theirs(**tiny.batch())
    parts = ours.utterance_losses(**tiny.batch())
    torch.testing.assert_close(parts.mean(parts.losses_B)[None], expected)
    assert parts.num_labels_B.tolist() == [5, 4, 2]  # ESPnet counts its token into the text


def test_ctc_between_the_layers_may_have_labels_of_its_own():
    made = tiny.transformer_parts(interctc_layer_idx=[1], interctc_use_conditioning=True)
    made |= {"interctc_weight": 0.4, "aux_ctc": {"1": "langs"}}
    theirs, ours = ESPnetASRModel(**made).eval(), DROASRModel(**made, groups=tiny.NAMES).eval()
    langs = {"langs": torch.tensor([[2], [3], [3]]), "langs_lengths": torch.tensor([1, 1, 1])}
    expected, stats, _ = theirs(**tiny.batch(), **langs)
    parts = ours.utterance_losses(**tiny.batch(), **langs)
    torch.testing.assert_close(parts.mean(parts.losses_B)[None], expected)
    torch.testing.assert_close(
        parts.stats["loss_interctc_layer1"][None], stats["loss_interctc_layer1"]
    )
    with pytest.raises(UserError, match="aux_ctc names langs for layer 1"):
        ours.utterance_losses(**tiny.batch())


def test_an_utterance_that_cannot_be_aligned_is_infinite_counted_and_gives_no_gradient():
    ours = DROASRModel(**tiny.parts(), groups=tiny.NAMES)
    batch = tiny.batch(lengths=(16000, 2000), labels=(3, 4), group_ids=(0, 1))
    batch["text"][1] = 5  # "aaaa" wants seven frames and has three
    parts = ours.utterance_losses(**batch)
    assert int(parts.num_frames_B[1]) < 7
    assert parts.infeasible_B.tolist() == parts.bad_B.tolist() == [False, True]
    assert parts.losses_B.isinf().tolist() == [False, True]
    parts.encoder_out.retain_grad()
    parts.mean(parts.losses_B).backward()
    assert parts.encoder_out.grad[1].eq(0).all()
    assert parts.encoder_out.grad[0].ne(0).any()
    assert all(gradient.isfinite().all() for gradient in gradients(ours))


def test_without_zero_infinity_the_utterance_is_named():
    made = tiny.parts(ctc_conf={"zero_infinity": False})
    ours = DROASRModel(**made, groups=tiny.NAMES)
    batch = tiny.batch(lengths=(16000, 2000), labels=(3, 4), group_ids=(0, 1))
    batch["text"][1] = 5
    with pytest.raises(UserError, match=r"1 utterances have more labels .*\(first: utt1\)"):
        ours.utterance_losses(**batch)


def test_a_loss_that_is_no_number_is_bad_but_not_infeasible():
    ours = DROASRModel(**tiny.parts(), groups=tiny.NAMES)
    batch = tiny.batch()
    batch["speech"][2] = float("nan")
    parts = ours.utterance_losses(**batch)
    assert parts.bad_B.tolist() == [False, False, True]
    assert not parts.infeasible_B.any()
    assert parts.losses_B[2].isinf()


def test_units_are_seconds_frames_and_labels():
    parts = DROASRModel(**tiny.parts(), groups=tiny.NAMES).utterance_losses(**tiny.batch())
    assert parts.durations_B.tolist() == [1.0, 0.75, 0.5625]
    assert parts.num_frames_B.tolist() == parts.encoder_out_lens.tolist() == [26, 19, 15]
    assert parts.num_labels_B.tolist() == [5, 4, 2]
    assert parts.group_ids_B.tolist() == [0, 1, 1]
