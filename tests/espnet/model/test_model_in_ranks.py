"""Under ESPnet's own distributed training the model learns what one process would."""

import pytest
import torch

from tests.espnet import wrapped_ranks
from tests.espnet.two_ranks import in_two_processes, model_of
from tests.espnet.wrapped_ranks import CASES, STEPS


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What both processes saved."""
    return in_two_processes(wrapped_ranks.work, tmp_path_factory.mktemp("wrapped"))


def alone(case):
    """One process over the same rank batches: totals and divisors summed by hand."""
    model = model_of(case)
    objective, optimizer, losses = model.objective, wrapped_ranks.optimizer_of(model), []
    for step in range(len(STEPS)):
        optimizer.zero_grad()
        parts = [model.utterance_losses(**wrapped_ranks.batch_of(step, rank)) for rank in (0, 1)]
        totals = (
            objective.batch_totals(
                part.losses_B, part.group_ids_B, part.durations_B,
                num_frames_B=part.num_frames_B, num_labels_B=part.num_labels_B,
            )
            for part in parts
        )  # fmt: skip
        objective.observe(sum(totals))
        divisor = sum(objective.normaliser(len(part.losses_B)) for part in parts)
        loss = sum(objective.weigh(part.losses_B, part.group_ids_B, divisor) for part in parts)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model.state_dict(), losses


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_does(results, case):
    state, losses = alone(case)
    for rank in (0, 1):
        theirs, reported = results[rank][case]
        for name, value in state.items():
            close = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}
            torch.testing.assert_close(theirs[name], value, **close, msg=name)
        assert reported == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_the_comparison_sees_a_wrong_weighting(results, case):
    """Parameters have moved by far more than the tolerance."""
    begin, (end, _) = model_of(case).state_dict(), results[0][case]
    moved = max(
        float((end[name] - value).abs().max())
        for name, value in begin.items()
        if not name.startswith("objective.") and value.is_floating_point()
    )
    assert moved > 1e-2
    if case != "ctc":
        assert (end["objective.relative_weights"] - 1).abs().max() > 0.05
