"""Two processes are one: the same q, and gradients whose mean is that of one process."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch.nn.parallel import DistributedDataParallel

from asr_dro_plugin.objectives import build_objective
from tests.ranks import leave_together

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
    leave_together()


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


def in_two_processes(work, *arguments):
    """``work(rank, *arguments)`` in each of two copies of a process that has torch already."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(["torch._dynamo"])
    multiprocessing.start_processes(work, arguments, nprocs=2, start_method="forkserver")


@pytest.mark.parametrize(("reduction", "agg"), [("utterance", "sum"), ("batch", "mean")])
def test_two_ranks_equal_one_process_given_the_same_batches(reduction, agg, tmp_path):
    in_two_processes(run_rank, str(tmp_path), reduction, agg)
    alone, grads = run_alone(reduction, agg)
    assert alone.num_updates == 3
    for rank in range(2):
        state, own = torch.load(tmp_path / f"{rank}.pth", weights_only=True)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(state[name], value, equal_nan=True)
        for step, grad in enumerate(own):
            torch.testing.assert_close(grad / 2, grads[step][rank])


class LinearModel(torch.nn.Module):
    """One layer, whose losses an objective weighs: what users wrap."""

    def __init__(self, reduction, agg):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.objective = torch.nn.Linear(4, 1), build(reduction, agg)

    def losses(self, step, rank):
        _, ids_B = batch_of(step, rank)
        generator = torch.Generator().manual_seed(100 + 10 * step + rank)
        inputs = torch.randn(len(ids_B), 4, generator=generator)
        return 50 * self.layer(inputs)[:, 0].square(), ids_B

    def forward(self, step, rank):
        return self.objective(*self.losses(step, rank))[0]


def train_wrapped(rank, folder, reduction, agg):
    """One of two ranks under torch's own wrapper, which averages gradients."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    model = LinearModel(reduction, agg)
    wrapped = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer, losses = torch.optim.SGD(model.parameters(), 1e-3), []
    for step in range(len(SIZES)):
        optimizer.zero_grad()
        loss = wrapped(step, rank)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    torch.save((model.state_dict(), losses), f"{folder}/{rank}.pth")
    leave_together()


def train_alone(reduction, agg):
    """One process that is given both ranks' batches: state at the end, losses."""
    model = LinearModel(reduction, agg)
    optimizer, losses = torch.optim.SGD(model.parameters(), 1e-3), []
    for step in range(len(SIZES)):
        optimizer.zero_grad()
        batches = [model.losses(step, rank) for rank in range(2)]
        model.objective.observe(sum(model.objective.batch_totals(*one) for one in batches))
        divisor = sum(model.objective.normaliser(len(losses_B)) for losses_B, _ in batches)
        loss = sum(model.objective.weigh(*one, divisor) for one in batches)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model.state_dict(), losses


@pytest.mark.parametrize(("reduction", "agg"), [("utterance", "sum"), ("batch", "mean")])
def test_under_distributed_data_parallel_two_ranks_train_as_one(reduction, agg, tmp_path):
    in_two_processes(train_wrapped, str(tmp_path), reduction, agg)
    alone, losses = train_alone(reduction, agg)
    assert (alone["objective.relative_weights"] - 1).abs().max() > 0.01
    ranks = [torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(2)]
    for state, _ in ranks:
        for name, value in alone.items():
            torch.testing.assert_close(state[name], value, equal_nan=True, msg=name)
    means = [(one + two) / 2 for one, two in zip(ranks[0][1], ranks[1][1], strict=True)]
    assert means == pytest.approx(losses)
