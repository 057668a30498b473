"""Trains a tiny model under DDP as ESPnet's trainer does; for ``test_model_in_ranks``."""

import torch
import torch.distributed as dist
from espnet2.torch_utils.recursive_op import recursive_average
from torch.nn.parallel import DistributedDataParallel

from tests.espnet.two_ranks import batch_of_groups, model_of, one_of_two

STEPS = [[(0, 0, 0), (1,)], [(2, 2), (0, 0, 1, 1)], [(1,), (0, 2)]]  # groups, by step and rank
CASES = ("utterance", "batch", "ctc")  # of two_ranks


def batch_of(step, rank):
    return batch_of_groups(STEPS[step][rank], seed=10 * step + rank)


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), 1e-3)


def train(case, rank):
    """State and reported losses; the loss is weighted as in ``espnet2.train.trainer``."""
    model = model_of(case)
    wrapped, optimizer, losses = DistributedDataParallel(model), optimizer_of(model), []
    for step in range(len(STEPS)):
        optimizer.zero_grad()
        loss, stats, weight = wrapped(**batch_of(step, rank))
        loss = (loss * weight.type(loss.dtype)).sum()
        stats = {key: value for key, value in stats.items() if value is not None}
        stats, weight = recursive_average(stats, weight, True)
        loss = loss / weight * dist.get_world_size()
        loss.backward()
        optimizer.step()
        losses.append(stats["loss"].item())
    return model.state_dict(), losses


def work(rank, folder):
    """One process: train all cases, save what came out."""
    with one_of_two(rank, folder):
        torch.save({case: train(case, rank) for case in CASES}, f"{folder}/rank{rank}.pth")
