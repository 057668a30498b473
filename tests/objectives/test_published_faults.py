"""The faults of the published code (github Bartelds/ctc-dro), each of them once.

What it reads that was never set, validation that moves q, state outside ``state_dict``, ids by
first appearance, ranks that disagree, host syncs, overflow, a group that never comes, prints.
Ranks are in ``test_reduce.py``, syncs in ``test_contract.py``, the sampler's in ``tests/samplers``.
"""

import pytest
import torch

from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.objectives import build_objective

SETTINGS = {"smoothing": 0.1, "step_size": 1e-3}


def run(objective, groups, scale=1.0):
    for group in groups:
        objective(torch.tensor([scale * (1.0 + group), scale]), torch.full((2,), group))
    return objective.group_weights


@pytest.mark.parametrize("name", ["ctc_dro", "group_dro"])
@pytest.mark.parametrize("update", ["round", "batch"])
@pytest.mark.parametrize("agg", ["sum", "mean"])
def test_the_first_update_works(name, update, agg):
    assert run(build_objective(name, 2, update=update, agg=agg), [0, 1]).isfinite().all()


def test_validation_between_two_batches_of_a_round_changes_nothing():
    straight, validated = (build_objective("ctc_dro", 3, **SETTINGS) for _ in range(2))
    run(validated, [0, 1])
    run(validated.eval(), [2, 2, 0, 1])
    assert torch.equal(run(validated.train(), [2]), run(straight, [0, 1, 2]))


def test_weights_pending_losses_and_names_are_in_the_state_dict():
    objective = build_objective("ctc_dro", 2, group_names=["a", "b"])
    run(objective, [0, 1, 0])
    state = objective.state_dict()
    assert bytes(state["group_names_utf8"].tolist()) == b"a\nb"
    assert state["pending"].any() and not torch.equal(state["relative_weights"], torch.ones(2))


def test_ids_follow_from_the_sorted_names_and_not_from_the_first_batch():
    data = [("spa", 9.0), ("ces", 1.0), ("pol", 4.0)]
    outcomes = []
    for order in (data, data[::-1]):
        groups = GroupMap(name for name, _ in order)
        objective = build_objective("ctc_dro", 3, group_names=groups.names)
        for name, loss in order:
            objective(torch.tensor([loss]), torch.tensor([groups.id_of(name)]))
        outcomes.append(objective.group_weights)
    assert torch.equal(*outcomes)


@pytest.mark.parametrize("scale", [1e4, 1e20, 1e37])
@pytest.mark.parametrize("cap", [1.0, 1e9])
@pytest.mark.parametrize("name", ["ctc_dro", "group_dro"])
def test_huge_losses_do_not_overflow_the_exponential(name, cap, scale):
    objective = build_objective(name, 3, step_size=1.0, cap=cap)
    q = run(objective, [0, 1, 2] * 3, scale)
    assert q.isfinite().all() and float(q.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_loss_that_is_no_number_does_not_poison_q(bad):
    clean, poisoned = (build_objective("ctc_dro", 3, **SETTINGS) for _ in range(2))
    poisoned(torch.tensor([bad]), torch.tensor([1]))
    assert torch.equal(run(clean, [0, 1, 2]), run(poisoned, [0, 1, 2]))
    assert poisoned.read_log()["skipped"] == [0.0, 1.0, 0.0]


def test_an_absent_group_neither_blocks_the_others_nor_piles_anything_up():
    objective = build_objective("ctc_dro", 3, **SETTINGS)
    sizes = {name: value.numel() for name, value in objective.state_dict().items()}
    q = run(objective, [0, 1] * 100)
    assert objective.num_updates == 3 and q[1] > q[0]  # every 20 * 3 batches
    assert {name: value.numel() for name, value in objective.state_dict().items()} == sizes


def test_nothing_is_printed(capfd):
    run(build_objective("ctc_dro", 3), [0, 1, 2])
    assert capfd.readouterr() == ("", "")
