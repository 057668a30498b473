"""What CTC-DRO costs in a real training step, beside plain CTC.

The stack of ``conf/train_asr_ctc_dro_mini.yaml`` on batches of 50 s; steps under ``ctc`` and under
``ctc_dro`` alternate on the same batches, and inside each the time spent in the objective (totals,
weights, weighing, and their part of the backward pass) is measured.  The share is the extra time of
ctc_dro's objective over ctc's, divided by the time of a whole step, with a 95 % interval from
resampled steps.
"""

import contextlib
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
STEPS, SECONDS, GROUPS, LIMIT = 200, 50.0, 6, 0.01
OPTIONS = SimpleNamespace(grad_clip=5.0, grad_clip_type=2.0, grad_noise=False, ddp_comm_hook=None)
PHASES = ("batch_totals", "observe", "normaliser", "weigh")


def untimed(_name):
    """No timer."""
    return contextlib.nullcontext()


def build(objective: str, folder: Path):
    """The model of the YAML under an objective, its stepper and updater."""
    import torch

    from asr_dro_plugin.espnet.process.distributed import Ranks
    from asr_dro_plugin.espnet.run.steps import Stepper
    from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
    from asr_dro_plugin.espnet.start.checks import model_conf_of
    from asr_dro_plugin.espnet.task import DROASRTask

    tokens = folder / "tokens.txt"
    tokens.write_text("\n".join(["<blank>", "<unk>", *map(chr, range(97, 177)), "<sos/eos>"]))
    config = ROOT / f"conf/train_asr_{objective}_mini.yaml"
    words = ["--config", str(config), "--output_dir", str(folder), "--token_list", str(tokens)]
    args = DROASRTask.get_parser().parse_args(words)
    args.groups = [f"l{index:02d}" for index in range(GROUPS)]
    args.model_conf = model_conf_of(args)
    torch.manual_seed(0)
    model = DROASRTask.build_model(args).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ranks = Ranks()
    updater = Updater(model, [optimizer], [None], None, OPTIONS, ranks, SkippedSteps(0))
    return model, Stepper(model, None, 1, ranks, on_gpu=False), updater


def watch(objective) -> list[float]:
    """Measure the objective's phases: the list holds the seconds since it was last cleared."""
    spent: list[float] = []
    for name in PHASES:
        setattr(objective, name, timed(getattr(objective, name), spent))
    return spent


def timed(work, spent: list[float]):
    """``work`` that notes how long it took."""

    def measured(*args, **kwargs):
        began = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - began)

    return measured


def batch_of(step: int):
    """About 50 s of noise of one group, eight utterances, 80 labels each."""
    import torch

    generator = torch.Generator().manual_seed(step)
    lengths = torch.full((8,), int(SECONDS * 16000 / 8))
    text = torch.randint(2, 80, (8, 80), generator=generator)
    batch = {
        "speech": torch.randn(8, int(lengths[0]), generator=generator),
        "speech_lengths": lengths,
        "text": text,
        "text_lengths": torch.full((8,), 80),
        "group_ids": torch.full((8, 1), step % GROUPS),
        "group_ids_lengths": torch.ones(8, dtype=torch.long),
    }
    return [f"utt{index}" for index in range(8)], batch


def backward_of_weigh(model, rounds: int = 200) -> float:
    """Seconds of the backward pass through the weighing alone."""
    import torch

    losses = torch.rand(8, requires_grad=True)
    ids = torch.zeros(8, dtype=torch.long)
    began = time.perf_counter()
    for _ in range(rounds):
        model.objective.weigh(losses, ids, 8.0).backward()
        losses.grad = None
    both = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(rounds):
        model.objective.weigh(losses, ids, 8.0)
    return (both - (time.perf_counter() - began)) / rounds


def main() -> int:
    """Print the share and its interval."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        kinds = {}
        for name in ("ctc", "ctc_dro"):
            model, stepper, updater = build(name, Path(folder))
            extra = backward_of_weigh(model)
            kinds[name] = (stepper, updater, watch(model.objective), extra, [], [])
        for step in range(STEPS):
            for stepper, updater, spent, extra, whole, inside in kinds.values():
                given = batch_of(step)
                spent.clear()
                began = time.perf_counter()
                stepper.backward(*given, timer=untimed)
                updater.update(step, untimed)
                whole.append(time.perf_counter() - began)
                inside.append(sum(spent) + extra)
    (*_, ctc_whole, ctc_inside), (*_, dro_whole, dro_inside) = kinds.values()
    cost = np.array(dro_inside) - np.array(ctc_inside)
    steps = np.array(dro_whole)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, STEPS, (2000, STEPS))
    shares = cost[drawn].mean(1) / steps[drawn].mean(1)
    low, high = np.quantile(shares, [0.025, 0.975])
    share = cost.mean() / steps.mean()
    print(
        f"{STEPS} steps each of ctc and ctc_dro in turn, {SECONDS:g} s a batch, G = {GROUPS}, "
        "1 thread"
    )
    print(
        f"median step: ctc {np.median(ctc_whole):.4f} s, ctc_dro {np.median(dro_whole):.4f} s; "
        f"median objective: ctc {np.median(ctc_inside) * 1e6:.0f} us, "
        f"ctc_dro {np.median(dro_inside) * 1e6:.0f} us"
    )
    print(
        f"share of ctc_dro's objective over ctc's: {share:.3%} "
        f"(95 %: {low:.3%} .. {high:.3%}), limit 1 %"
    )
    return int(share > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
