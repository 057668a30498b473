"""Two processes are one: the same q, and gradients that add up to those of one process."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from asr_dro_plugin.objectives import build_objective

SIZES = [(3, 1), (2, 4), (5, 0), (1, 2), (3, 3), (2, 2)]  # utterances of the ranks, by step
GROUPS = [(0, 1), (2, 2), (1, 0), (0, 2), (1, 1), (2, 0)]


def batch_of(step, rank):
    """Losses (with gradient) and ids of a rank's batch; the same whoever asks."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    size = SIZES[step][rank]
    losses_B = 200 * torch.rand(size, generator=generator)
    return losses_B.requires_grad_(), torch.full((size,), GROUPS[step][rank])


def build(reduction, agg):
    return build_objective(
        "ctc_dro", 3, reduction=reduction, agg=agg, smoothing=0.1, step_size=1e-3
    )


def run_rank(rank, folder, reduction, agg):
    """What one of two ranks ends with: q and the gradients of its losses."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    objective, grads = build(reduction, agg), []
    for step in range(len(SIZES)):
        losses_B, ids_B = batch_of(step, rank)
        loss, _ = objective(losses_B, ids_B)
        loss.backward()
        grads.append(losses_B.grad)
    torch.save((objective.state_dict(), grads), f"{folder}/{rank}.pth")
    dist.destroy_process_group()


def run_alone(reduction, agg):
    """One process that is given both ranks' batches of every step."""
    objective, grads = build(reduction, agg), []
    for step in range(len(SIZES)):
        batches = [batch_of(step, rank) for rank in range(2)]
        objective.observe(sum(objective.batch_totals(*one) for one in batches))
        divisor = sum(objective.normaliser(len(losses_B)) for losses_B, _ in batches)
        sum(objective.weigh(*one, divisor) for one in batches).backward()
        grads.append([losses_B.grad for losses_B, _ in batches])
    return objective, grads


@pytest.mark.parametrize(("reduction", "agg"), [("utterance", "sum"), ("batch", "mean")])
def test_two_ranks_equal_one_process_given_the_same_batches(reduction, agg, tmp_path):
    multiprocessing.spawn(run_rank, (str(tmp_path), reduction, agg), nprocs=2)
    alone, grads = run_alone(reduction, agg)
    assert alone.num_updates == 3
    for rank in range(2):
        state, own = torch.load(tmp_path / f"{rank}.pth", weights_only=True)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(state[name], value, equal_nan=True)
        for step, grad in enumerate(own):
            torch.testing.assert_close(grad, grads[step][rank])
