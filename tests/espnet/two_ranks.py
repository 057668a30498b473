"""Trains a tiny model in two processes, for ``test_distributed``; nothing in it is a test."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist

from asr_dro_plugin.base.loading import quick_imports

with quick_imports():  # by the server of processes too
    from asr_dro_plugin.espnet.model.model import DROASRModel
    from asr_dro_plugin.espnet.process.distributed import Ranks
    from asr_dro_plugin.espnet.run.steps import Stepper
    from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
from tests.espnet import tiny
from tests.ranks import leave_together

DRY = {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "dropout": 0.0}
OPTIONS = SimpleNamespace(grad_clip=5.0, grad_clip_type=2.0, grad_noise=False, ddp_comm_hook=None)

# Batches of each rank by step: sizes differ, groups are mixed in some, and at the end one rank has
# run out of data.  Each entry is the groups of the batch's utterances.
STEPS = [
    [(0, 0, 0), (1,)],
    [(2, 2), (0, 0)],
    [(1, 1, 1), (0, 2)],
    [(2,), (1, 1)],
    [(0, 0), ()],
]
CASES = {
    "utterance": {"reduction": "utterance"},
    "batch": {"reduction": "batch", "duration": 3.0},
    "mean": {"agg": "mean", "step_size_rel": 2.0},
    "ctc": None,
}


def model_of(case):
    torch.manual_seed(0)
    conf = CASES[case]
    name, conf = ("ctc", {}) if conf is None else ("ctc_dro", {"step_size_rel": 2.0, **conf})
    made = tiny.parts(encoder_conf=DRY)
    return DROASRModel(**made, groups=tiny.NAMES, objective=name, objective_conf=conf).train()


def batch_of(step, rank):
    """(utt_ids, batch) of a rank at a step."""
    groups = STEPS[step][rank]
    if not groups:
        return [], {}
    batch = batch_of_groups(groups, seed=10 * step + rank)
    return batch.pop("utt_id"), batch


def batch_of_groups(groups, seed):
    """Utterances of these groups, each a little shorter than the one before."""
    lengths = tuple(16000 - 1500 * row for row in range(len(groups)))
    return tiny.batch(lengths, (4,) * len(groups), seed, groups)


def untimed(_name):
    return contextlib.nullcontext()


def updater_of(model, ranks):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return Updater(model, [optimizer], [None], None, OPTIONS, ranks, SkippedSteps(0))


def train(case, ranks):
    """State and reported losses after all steps, each rank on its own batches."""
    model = model_of(case)
    stepper, updater = Stepper(model, None, 1, ranks, on_gpu=False), updater_of(model, ranks)
    losses = []
    for step in range(len(STEPS)):
        result = stepper.backward(*batch_of(step, ranks.rank), timer=untimed)
        stats, weight = ranks.mean_stats(result.stats, result.weight)
        losses.append((stats["loss"], weight))
        updater.update(step, untimed)
    return model.state_dict(), losses


def fail(ranks, where):
    """The first rank runs out of memory for good: what each rank is told."""
    model = model_of("utterance")
    if ranks.rank == 0 and where == "forward":
        model.encoder.register_forward_hook(_no_memory)
    if ranks.rank == 0 and where == "backward":
        model.ctc.ctc_lo.weight.register_hook(_no_memory)
    stepper = Stepper(model, None, 1, ranks, on_gpu=False)
    try:
        stepper.backward(*batch_of(0, ranks.rank), timer=untimed)
        stepper.agree_on_failure()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def _no_memory(*_arguments):
    raise torch.OutOfMemoryError("CUDA out of memory")


def server_of_processes() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have ESPnet already, each a copy of one that has imported it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.espnet.two_ranks", "tests.espnet.wrapped_ranks"])
    return context


def in_two_processes(work: Callable[[int, str], None], folder: Path) -> list[dict]:
    """What ``work(rank, folder)`` saved in each of two processes."""
    context = server_of_processes()
    place = str(folder)
    processes = [context.Process(target=work, args=(r, place), daemon=True) for r in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    return [torch.load(folder / f"rank{rank}.pth", weights_only=True) for rank in (0, 1)]


@contextlib.contextmanager
def one_of_two(rank, folder):
    """This process as one of two that meet in ``folder``."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    yield
    leave_together()


def work(rank, folder):
    """One process: train all cases, save what came out."""
    with one_of_two(rank, folder):
        ranks = Ranks(distributed=True)
        out = {case: train(case, ranks) for case in CASES}
        out["failure"] = {where: fail(ranks, where) for where in ("forward", "backward")}
        torch.save(out, f"{folder}/rank{rank}.pth")
