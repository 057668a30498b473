"""What every objective promises: losses in, one loss and figures out, and when q moves."""

import math

import pytest
import torch
from torch.nn.functional import ctc_loss

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import OBJECTIVES, build_objective
from asr_dro_plugin.objectives.update import update_group_weights

LOSSES = {0: [100.0, 140.0], 1: [300.0, 60.0, 90.0], 2: [200.0]}
LBAR = torch.tensor([240.0, 450.0, 200.0])
PUBLISHED = {"smoothing": 0.1, "step_size": 1e-3, "floor": 1e-10, "cap": 1e9}


def batch(group):
    """Losses and ids of a batch of one group."""
    losses = LOSSES[group]
    return torch.tensor(losses), torch.full((len(losses),), group)


def feed(objective, groups):
    """One step a group; the outcome of the last."""
    for group in groups:
        outcome = objective(*batch(group))
    return outcome


def q_of(objective):
    return objective.group_weights.double()


UNIFORM = torch.full((3,), 1 / 3).double()


@pytest.mark.parametrize(
    ("name", "smoothing"), [("ctc_dro", 0.0), ("ctc_dro", 0.1), ("group_dro", None)]
)
def test_after_a_round_q_is_that_of_the_formula(name, smoothing):
    conf = {"step_size": 1e-3, "cap": 0.4} | ({} if smoothing is None else {"smoothing": smoothing})
    objective = build_objective(name, 3, **conf)
    feed(objective, [0, 1, 2])
    expected = update_group_weights(UNIFORM, LBAR, 1e-3, smoothing, cap=0.4)
    torch.testing.assert_close(q_of(objective), expected, atol=1e-6, rtol=1e-6)


def test_q_does_not_move_before_all_groups_were_seen():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    feed(objective, [0, 1, 1, 0, 1])
    assert torch.equal(q_of(objective), build_objective("ctc_dro", 3).group_weights.double())
    feed(objective, [2])
    assert q_of(objective).argmax() == 1 and objective.num_updates == 1


def test_the_batch_that_completes_the_round_is_weighted_with_the_new_q():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    loss, stats = feed(objective, [0, 1, 2])
    assert float(loss) == pytest.approx(200.0 * 3 * float(objective.group_weights[2]), rel=1e-5)
    assert torch.equal(stats["group_weights"], objective.group_weights)
    assert float(objective.group_weights[2]) < 0.32


def test_a_groups_pending_loss_is_the_mean_over_its_batches():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    for scale, group in ((1.0, 0), (3.0, 0), (1.0, 1), (1.0, 2)):
        losses_B, ids_B = batch(group)
        objective(scale * losses_B, ids_B)
    expected = update_group_weights(
        UNIFORM, LBAR * torch.tensor([2.0, 1, 1]), 1e-3, 0.1, 1e9, 1e-10
    )
    torch.testing.assert_close(q_of(objective), expected, atol=1e-6, rtol=1e-6)


def test_with_agg_mean_a_groups_loss_is_the_mean_over_its_utterances():
    objective = build_objective("ctc_dro", 3, agg="mean", **PUBLISHED)
    feed(objective, [0, 1, 1, 2])
    expected = update_group_weights(UNIFORM, torch.tensor([120.0, 150, 200]), 1e-3, 0.1, 1e9, 1e-10)
    torch.testing.assert_close(q_of(objective), expected, atol=1e-6, rtol=1e-6)


def test_mixed_batches_move_q_as_batches_of_one_group_do():
    alone, mixed = (build_objective("ctc_dro", 3, **PUBLISHED) for _ in range(2))
    feed(alone, [0, 1, 2])
    mixed(*(torch.cat(parts) for parts in zip(*map(batch, (2, 0, 1)))))
    torch.testing.assert_close(q_of(alone), q_of(mixed))


def test_the_gradient_is_that_of_the_weighted_losses():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    feed(objective, [0, 1, 2])
    losses_B = torch.tensor([1.0, 2.0, 3.0, math.inf], requires_grad=True)
    ids_B = torch.tensor([0, 1, 1, 2])
    objective(losses_B, ids_B)[0].backward()
    expected = 3 * objective.group_weights[ids_B] / 4 * torch.tensor([1.0, 1, 1, 0])
    torch.testing.assert_close(losses_B.grad, expected)


def test_q_does_not_move_in_validation_and_the_loss_is_unweighted():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    feed(objective, [0, 1, 2, 0])
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    objective.eval()
    loss, _ = feed(objective, [1, 2, 0])
    assert float(loss) == pytest.approx(120.0)
    for name, value in objective.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_step_has_the_same_stats_and_none_of_them_has_a_gradient(name):
    objective = build_objective(name, 3)
    empty = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    kinds = [objective(*one)[1] for one in (batch(0), batch(1), batch(2), empty)]
    shapes = [{key: (value.shape, value.dtype) for key, value in kind.items()} for kind in kinds]
    assert all(shape == shapes[0] for shape in shapes)
    assert not any(value.requires_grad for kind in kinds for value in kind.values())


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_q_as_it_began_loss_and_gradient_are_bit_for_bit_those_of_ctc(name, dtype):
    torch.manual_seed(5)
    logits = torch.randn(40, 6, 20, dtype=dtype, requires_grad=True)
    text, lengths = torch.randint(1, 20, (6, 8)), (torch.full((6,), 40), torch.full((6,), 8))
    log_probs = logits.log_softmax(2)
    plain = ctc_loss(log_probs, text, *lengths, reduction="sum") / 6
    (plain_grad,) = torch.autograd.grad(plain, logits, retain_graph=True)
    losses_B = ctc_loss(log_probs, text, *lengths, reduction="none")
    loss, _ = build_objective(name, 3)(losses_B, torch.tensor([0, 0, 1, 1, 1, 0]))
    (grad,) = torch.autograd.grad(loss, logits)
    assert torch.equal(loss, losses_B.sum() / 6) and torch.equal(grad, plain_grad)
    torch.testing.assert_close(loss, plain)


def test_with_a_uniform_q_reached_later_the_loss_is_that_of_ctc():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    for group in (0, 1, 2, 1):
        loss, _ = objective(torch.full((5,), 77.0), torch.full((5,), group))
    assert objective.num_updates == 1
    assert float(loss) == pytest.approx(77.0, rel=1e-6)


def test_the_batch_reduction_divides_by_the_reference_duration():
    objective = build_objective("ctc_dro", 3, reduction="batch", duration=40.0)
    loss, _ = objective(*batch(1))
    assert float(loss) == pytest.approx(450.0 / 40.0)
    assert objective.normaliser(0) == 0.0


def test_the_sampling_alone_may_carry_the_weights():
    objective = build_objective("ctc_dro", 3, acts_on="sampling", **PUBLISHED)
    loss, _ = feed(objective, [0, 1, 2])
    assert float(loss) == 200.0 and objective.group_weights.argmax() == 1


@pytest.mark.parametrize("norm", ["frames", "labels"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_length_normalisation_divides_each_loss_under_every_objective(name, norm):
    objective = build_objective(name, 3, length_norm=norm)
    lengths = {f"num_{norm}_B": torch.tensor([10, 20])}
    loss, stats = objective(*batch(0), **lengths)
    assert float(loss) == pytest.approx((10.0 + 7.0) / 2)
    assert stats["loss_G"].tolist() == [17.0, 0.0, 0.0]
    with pytest.raises(UserError, match=f"num_{norm}_B"):
        objective(*batch(0))


def test_after_the_round_limit_the_groups_seen_move_and_the_others_keep_their_log_q():
    objective = build_objective("ctc_dro", 3, round_limit=4, **PUBLISHED)
    feed(objective, [0, 1, 0])
    assert objective.num_updates == 0
    feed(objective, [1])
    seen = torch.tensor([240.0, 450.0, math.nan])
    expected = update_group_weights(UNIFORM, seen, 1e-3, 0.1, cap=1e9, floor=1e-10)
    torch.testing.assert_close(q_of(objective), expected, atol=1e-6, rtol=1e-6)
    assert objective.batches[1] == 0 and not objective.pending.any()


def test_a_round_limit_of_zero_waits_for_ever():
    objective = build_objective("ctc_dro", 2, round_limit=0)
    feed(objective, [0, 1][:1] * 200)
    assert objective.num_updates == 0


def test_a_rare_group_does_not_fall_for_being_rare():
    objective = build_objective("ctc_dro", 4, round_limit=3)
    for step in range(300):
        objective(torch.tensor([100.0]), torch.tensor([step % 3]))
    torch.testing.assert_close(q_of(objective), torch.full((4,), 0.25).double())


def test_classic_group_dro_moves_q_after_every_batch():
    objective = build_objective("group_dro", 3, update="batch", step_size=1e-3)
    q = UNIFORM
    for group in (0, 1, 1, 2):
        objective(*batch(group))
        grown = q * torch.exp(1e-3 * torch.where(torch.arange(3) == group, LBAR.double(), 0.0))
        q = grown / grown.sum()
    torch.testing.assert_close(q_of(objective), q, atol=1e-6, rtol=1e-6)
    assert objective.num_updates == 4


@pytest.mark.parametrize("update", ["round", "batch"])
def test_the_running_mean_is_that_of_the_groups_that_were_seen(update):
    objective = build_objective("ctc_dro", 4, update=update, round_limit=3)
    for group, loss in ((0, 100.0), (1, 100.0), (0, 100.0)):
        objective(torch.tensor([loss]), torch.tensor([group]))
    assert objective.num_updates == (1 if update == "round" else 3)
    assert float(objective.mean_loss) == pytest.approx(100.0)
    objective(torch.tensor([200.0, 300.0]), torch.tensor([2, 3]))
    if update == "batch":
        assert float(objective.mean_loss) == pytest.approx(0.9 * 100 + 0.1 * 250)


@pytest.mark.parametrize("name", ["ctc_dro", "group_dro"])
def test_by_the_batch_equal_losses_leave_q_about_uniform_and_clip_nothing(name):
    objective = build_objective(name, 20, update="batch")
    for step in range(400):
        objective(torch.tensor([100.0]), torch.tensor([step % 20]))
    assert objective.num_updates == 400 and objective.num_clipped == 0
    relative = q_of(objective) * 20
    assert float(relative.min()) > 0.7 and float(relative.max()) < 1.4


def test_size_adjustment_adds_to_the_loss_of_small_groups():
    sizes, conf = [4, 100, 25], {"step_size": 1e-3, "cap": 1e9, "floor": 0.0}
    objective = build_objective("group_dro", 3, size_adjustment=50.0, group_sizes=sizes, **conf)
    feed(objective, [0, 1, 2])
    adjusted = LBAR + 50.0 / torch.tensor(sizes).sqrt()
    expected = update_group_weights(UNIFORM, adjusted, 1e-3, None, cap=1e9, floor=0.0)
    torch.testing.assert_close(q_of(objective), expected, atol=1e-6, rtol=1e-6)


def test_the_relative_step_size_follows_the_running_mean_of_the_losses():
    small, large = (build_objective("ctc_dro", 3) for _ in range(2))
    for group in (0, 1, 2, 2, 1, 0):
        losses_B, ids_B = batch(group)
        small(losses_B, ids_B)
        large(1000.0 * losses_B, ids_B)
    torch.testing.assert_close(small.group_weights, large.group_weights)
    assert small.stability() == pytest.approx([0.5 / 1.6**2])


def test_losses_of_zero_move_nothing():
    objective = build_objective("ctc_dro", 2)
    for group in (0, 1, 0, 1):
        objective(torch.zeros(2), torch.full((2,), group))
    torch.testing.assert_close(objective.group_weights, torch.full((2,), 0.5))


def test_a_batch_without_utterances_has_no_loss_and_moves_nothing():
    objective = build_objective("ctc_dro", 3)
    losses_B = torch.zeros(0, requires_grad=True)
    loss, _ = objective(losses_B, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0.0 and not objective.pending.any()


def test_other_losses_than_ctc_are_served_alike():
    torch.manual_seed(3)
    logits, text = torch.randn(4, 9, 30, requires_grad=True), torch.randint(0, 30, (4, 9))
    entropy = torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction="none")
    losses_B = entropy(logits.transpose(1, 2), text).sum(1)
    loss, _ = build_objective("ctc_dro", 3)(losses_B, torch.tensor([0, 1, 1, 0]))
    assert torch.equal(loss, losses_B.sum() / 4)


def test_the_log_holds_the_figures_since_it_was_read_last():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    feed(objective, [0, 1, 2, 1])
    objective(torch.tensor([math.inf, 3.0]), torch.tensor([0, 0]))
    log = objective.read_log()
    assert log["loss"] == [pytest.approx(81.0), pytest.approx(150.0), 200.0]
    assert log["batch_loss"] == [pytest.approx(121.5), 450.0, 200.0]
    assert log["utterances"] == [3, 6, 1] and log["batches"] == [2, 2, 1]
    assert log["skipped"] == [1, 0, 0] and log["num_updates"] == [1.0]
    assert log["group_weights"] == objective.group_weights.tolist()
    feed(objective, [2])
    again = objective.read_log(reset=False)
    assert again["utterances"] == [0, 0, 1] and again["num_updates"] == [1.0]
    assert math.isnan(again["loss"][0]) and objective.read_log()["utterances"] == [0, 0, 1]


def test_the_phases_one_by_one_are_the_forward():
    whole, phases = (build_objective("ctc_dro", 3, **PUBLISHED) for _ in range(2))
    for group in (0, 1, 2, 0):
        losses_B, ids_B = batch(group)
        expected, _ = whole(losses_B, ids_B)
        phases.observe(phases.batch_totals(losses_B, ids_B))
        loss = phases.weigh(losses_B, ids_B, phases.normaliser(len(losses_B)))
        assert torch.equal(loss, expected)


def test_a_batch_in_pieces_moves_q_as_the_whole_does():
    whole, pieces = (build_objective("ctc_dro", 3, agg="mean", **PUBLISHED) for _ in range(2))
    for group in (0, 1, 2):
        losses_B, ids_B = batch(group)
        expected, _ = whole(losses_B, ids_B)
        halves = [slice(0, 1), slice(1, None)]
        pieces.observe(sum(pieces.batch_totals(losses_B[half], ids_B[half]) for half in halves))
        divisor = pieces.normaliser(len(losses_B))
        loss = sum(pieces.weigh(losses_B[half], ids_B[half], divisor) for half in halves)
        torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(q_of(whole), q_of(pieces))


def test_q_that_was_handed_out_does_not_move_later():
    objective = build_objective("ctc_dro", 3, **PUBLISHED)
    _, stats = feed(objective, [0, 1])
    feed(objective, [2])
    assert torch.equal(stats["group_weights"], torch.full((3,), 1 / 3))
    objective.group_weights.zero_()
    assert float(objective.group_weights.sum()) == pytest.approx(1.0)


def test_no_value_is_read_from_a_device():
    from torch._subclasses.fake_tensor import FakeTensorMode

    objective = build_objective("ctc_dro", 3, signal="labels", group_sizes=None)
    lengths = {
        "durations_B": torch.ones(4),
        "num_frames_B": torch.ones(4),
        "num_labels_B": torch.ones(4),
    }
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # reading a value raises here
        objective._apply(lambda buffer: mode.from_tensor(buffer).to("meta"))
        losses_B = torch.ones(4, device="meta", requires_grad=True)
        ids_B = torch.zeros(4, dtype=torch.int64, device="meta")
        for _ in range(3):
            loss, _ = objective(losses_B, ids_B, **{k: v.to("meta") for k, v in lengths.items()})
            loss.backward()
