"""Two processes (gloo) compute what one does that is given the same list of rank batches."""

import pytest
import torch

from asr_dro_plugin.espnet.process.distributed import Ranks, _buckets
from tests.espnet import two_ranks
from tests.espnet.two_ranks import CASES, STEPS


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What both processes saved."""
    return two_ranks.in_two_processes(two_ranks.work, tmp_path_factory.mktemp("ranks"))


def alone(case):
    """One process over the same rank batches: totals and divisors summed by hand."""
    model = two_ranks.model_of(case)
    updater, losses = two_ranks.updater_of(model, Ranks()), []
    objective = model.objective
    for step in range(len(STEPS)):
        given = [two_ranks.batch_of(step, rank) for rank in (0, 1)]
        parts = [model.utterance_losses(**batch, utt_id=ids) for ids, batch in given if ids]
        totals = sum(
            objective.batch_totals(
                part.losses_B, part.group_ids_B, part.durations_B,
                num_frames_B=part.num_frames_B, num_labels_B=part.num_labels_B,
            )
            for part in parts
        )  # fmt: skip
        objective.observe(totals)
        normaliser = sum(objective.normaliser(len(ids)) for ids, _ in given)
        loss = sum(objective.weigh(p.losses_B, p.group_ids_B, normaliser) for p in parts)
        loss.backward()
        losses.append((loss.item(), sum(len(ids) for ids, _ in given)))
        updater.update(step, two_ranks.untimed)
    return model.state_dict(), losses


@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one(results, case):
    state, losses = alone(case)
    for rank in (0, 1):
        theirs, reported = results[rank][case]
        for name, value in state.items():
            close = {"rtol": 1e-4, "atol": 2e-5, "equal_nan": True}
            torch.testing.assert_close(theirs[name], value, **close, msg=name)
        if case != "batch":
            assert reported == pytest.approx([pytest.approx(pair, rel=1e-4) for pair in losses])


@pytest.mark.parametrize("case", CASES)
def test_both_processes_hold_the_same_to_the_bit(results, case):
    (one, _), (two, _) = (result[case] for result in results)
    assert all(torch.equal(one[k].nan_to_num(7e7), two[k].nan_to_num(7e7)) for k in one)


def test_the_group_weights_have_moved(results):
    weights = results[0]["utterance"][0]["objective.relative_weights"]
    assert float((weights - 1).abs().max()) > 0.05


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_one_process_that_cannot_go_on_stops_the_other(results, where):
    assert "utt0 (16000 samples) does not fit into memory" in results[0]["failure"][where]
    assert "Another process of this training stopped" in results[1]["failure"][where]


def test_buckets_hold_every_parameter_once_and_no_two_kinds():
    params = [torch.nn.Parameter(torch.zeros(3, dtype=d)) for d in (torch.float32, torch.float64)]
    params += [torch.nn.Parameter(torch.zeros(2))]
    buckets = _buckets(params)
    assert [id(p) for bucket in buckets for p in bucket] == [id(p) for p in params]
    assert all(len({p.dtype for p in bucket}) == 1 for bucket in buckets)
