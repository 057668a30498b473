"""Trains a tiny model under DDP as ESPnet's trainer does; for ``test_model_in_ranks``."""

import os

import torch
import torch.distributed as dist
from espnet2.torch_utils.recursive_op import recursive_average
from torch.nn.parallel import DistributedDataParallel

from asr_dro_plugin.espnet.model import DROASRModel
from tests.espnet import tiny

DRY = {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "dropout": 0.0}
STEPS = [[(0, 0, 0), (1,)], [(2, 2), (0, 0, 1, 1)], [(1,), (0, 2)]]  # groups, by step and rank
CASES = {
    "utterance": {"reduction": "utterance"},
    "batch": {"reduction": "batch", "duration": 3.0},
    "ctc": None,
}


def model_of(case):
    torch.manual_seed(0)
    conf = CASES[case]
    name, conf = ("ctc", {}) if conf is None else ("ctc_dro", {"step_size_rel": 2.0, **conf})
    made = tiny.parts(encoder_conf=DRY)
    return DROASRModel(**made, groups=tiny.NAMES, objective=name, objective_conf=conf).train()


def batch_of(step, rank):
    groups = STEPS[step][rank]
    lengths = tuple(16000 - 1500 * row for row in range(len(groups)))
    return tiny.batch(lengths, (4,) * len(groups), 10 * step + rank, groups)


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
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save({case: train(case, rank) for case in CASES}, f"{folder}/rank{rank}.pth")
    dist.barrier()
    dist.destroy_process_group()
