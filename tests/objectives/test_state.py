"""The state: bit-exact over a stop, bound to the groups' names, and never rounded."""

import copy
import io
import itertools

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import OBJECTIVES, build_objective

NAMES = ["ces", "pol", "spa"]


def steps(objective, count, seed):
    """Random batches of one group each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        group = torch.randint(objective.num_groups, (1,), generator=generator)
        losses_B = 300 * torch.rand(3, generator=generator) * (1 + group)
        objective(losses_B, group.expand(3))


def same(one, other):
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0, equal_nan=True)
    return True


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("stop", [1, 7, 20])
def test_a_stopped_and_resumed_run_is_bit_identical_to_one_that_was_not(name, stop, tmp_path):
    straight = build_objective(name, 3, group_names=NAMES)
    steps(straight, stop, seed=1)
    torch.save(straight.state_dict(), tmp_path / "state.pth")
    resumed = build_objective(name, 3, group_names=NAMES)
    resumed.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    steps(straight, 20, seed=2)
    steps(resumed, 20, seed=2)
    assert same(straight, resumed)
    assert straight.read_log()["group_weights"] == resumed.read_log()["group_weights"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["ces", "pol", "swe"], "new: swe; gone: spa"),
        (["pol", "ces", "spa"], "another order"),
        (["ces", "pol"], "gone: spa"),
        (None, "3 named groups in the state, 3 unnamed here"),
    ],
)
def test_a_state_of_other_groups_is_refused_and_the_difference_named(names, said):
    state = build_objective("ctc_dro", 3, group_names=NAMES).state_dict()
    other = build_objective("ctc_dro", len(names or NAMES), group_names=names)
    with pytest.raises(UserError, match=said):
        other.load_state_dict(state)


def test_a_model_from_before_there_were_objectives_leaves_the_initial_state():
    model = torch.nn.ModuleDict(
        {"encoder": torch.nn.Linear(2, 2), "objective": build_objective("ctc_dro", 3)}
    )
    older = {k: v for k, v in model.state_dict().items() if not k.startswith("objective.")}
    model.load_state_dict(older)
    assert torch.equal(model["objective"].relative_weights, torch.ones(3).double())


@pytest.mark.parametrize("name", ["group_dro", "ctc"])
def test_the_state_of_one_objective_fits_another(name):
    older, newer = build_objective(name, 3), build_objective("ctc_dro", 3)
    steps(older, 5, seed=0)
    newer.load_state_dict(older.state_dict())
    assert torch.equal(newer.relative_weights, older.relative_weights)


def test_plain_ctc_is_uniform_after_a_robust_objective():
    older, plain = build_objective("group_dro", 3), build_objective("ctc", 3)
    steps(older, 30, seed=0)
    plain.load_state_dict(older.state_dict())
    assert torch.equal(plain.group_weights, torch.full((3,), 1 / 3))
    assert float(plain(torch.tensor([3.0]), torch.tensor([2]))[0]) == 3.0


def test_half_precision_and_moves_do_not_round_the_state():
    objective = build_objective("ctc_dro", 3, group_names=NAMES)
    steps(objective, 20, seed=4)
    exact = copy.deepcopy(objective)
    model = torch.nn.Sequential(objective, torch.nn.Linear(1, 1)).half().to("cpu", torch.bfloat16)
    assert model[1].weight.dtype == torch.bfloat16 and same(exact, objective)
    assert objective.group_names == NAMES


def test_a_copy_goes_its_own_way():
    objective = build_objective("ctc_dro", 3)
    steps(objective, 10, seed=1)
    twin = copy.deepcopy(objective)
    before = objective.group_weights
    steps(twin, 10, seed=2)
    assert torch.equal(objective.group_weights, before)
    assert not torch.equal(twin.group_weights, before)


def test_the_shown_weights_follow_every_write_to_the_state():
    objective = build_objective("ctc_dro", 2)
    assert objective.group_weights.tolist() == [0.5, 0.5]
    objective.relative_weights.copy_(torch.tensor([0.5, 1.5]))
    assert objective.group_weights.tolist() == [0.25, 0.75]
    loss, _ = objective(torch.tensor([1.0, 1.0]), torch.tensor([1, 1]))
    assert float(loss) == 1.5


def copied(objective):
    return copy.deepcopy(objective)


def pickled(objective):
    file = io.BytesIO()
    torch.save(objective, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("duplicate", [copied, pickled])
def test_a_copy_shows_its_own_weights_after_the_same_number_of_writes(duplicate):
    for theirs, own in itertools.product(range(1, 4), repeat=2):
        objective = build_objective("ctc_dro", 2)
        for _ in range(theirs):
            objective.relative_weights.copy_(torch.tensor([0.5, 1.5]))
        assert objective.group_weights.tolist() == [0.25, 0.75]
        twin = duplicate(objective)
        for _ in range(own):
            twin.relative_weights.copy_(torch.tensor([1.5, 0.5]))
        assert twin.group_weights.tolist() == [0.75, 0.25]
        assert float(twin(torch.tensor([1.0]), torch.tensor([1]))[0]) == 0.5


def test_the_shown_weights_follow_writes_that_torch_does_not_count():
    objective = build_objective("ctc_dro", 2)
    assert objective.group_weights.tolist() == [0.5, 0.5]
    objective.relative_weights.data.copy_(torch.tensor([0.5, 1.5]))
    assert objective.group_weights.tolist() == [0.25, 0.75]


def test_more_groups_keep_the_old_ratios_and_begin_at_the_mean():
    older = build_objective("ctc_dro", 3, group_names=NAMES)
    steps(older, 20, seed=3)
    state = {f"objective.{name}": value for name, value in older.state_dict().items()}
    newer = build_objective("ctc_dro", 5, group_names=["ces", "deu", "pol", "ron", "spa"])
    said = newer.extend_from(state, "objective.")
    q, old = newer.group_weights.double(), older.group_weights.double()
    torch.testing.assert_close(q[[0, 2, 4]] / q[0], old / old[0])
    torch.testing.assert_close(q[[1, 3]], torch.full((2,), 0.2).double())
    torch.testing.assert_close(q.sum(), torch.tensor(1.0).double())
    assert torch.equal(newer.pending[:, [0, 2, 4]], older.pending)
    assert newer.num_updates == older.num_updates and "deu ron" in said


def test_extending_without_weights_starts_alike_and_says_so():
    newer = build_objective("ctc_dro", 2, group_names=["a", "b"])
    assert "2 groups start alike" in newer.extend_from({"encoder.weight": torch.ones(1)})


def test_a_group_that_is_gone_cannot_be_extended_away():
    state = build_objective("ctc_dro", 3, group_names=NAMES).state_dict()
    with pytest.raises(UserError, match="spa is gone"):
        build_objective("ctc_dro", 3, group_names=["ces", "deu", "pol"]).extend_from(state)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "a", "b"]])
def test_names_must_be_as_many_as_the_groups_and_distinct(names):
    with pytest.raises(UserError, match="distinct names"):
        build_objective("ctc_dro", 3, group_names=names)


def test_names_of_any_script_are_kept():
    names = ["český", "ქართული", "中文"]
    state = build_objective("ctc", 3, group_names=names).state_dict()
    newer = build_objective("ctc", 3, group_names=names)
    newer.load_state_dict(state)
    assert newer.group_names == names


def test_the_shown_weights_are_right_in_inference_mode_too():
    with torch.inference_mode():
        objective = build_objective("ctc_dro", 2)
        assert objective.group_weights.tolist() == [0.5, 0.5]
        objective.relative_weights.copy_(torch.tensor([0.5, 1.5]))
        assert objective.group_weights.tolist() == [0.25, 0.75]
