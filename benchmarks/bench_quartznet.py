"""QuartzNet, forward and backward, beside the same network written plainly in torch.

    make bench            (python benchmarks/bench_quartznet.py 1: fewer runs)

One thread on a CPU; the same weights and the same batch.  That both are the same network is shown
in double precision first; in single precision seventy layers, each with a batch norm, make much of
a rounding error, in both alike.  The plain network (``tests/nets/plain_quartznet.py``) is torch's
own layers over the padded batch; ours takes wide depthwise convolutions through the Fourier
transform and computes no padding.  The runs of both alternate, and the median is shown.  The
demand: not slower, at any size.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

RUNS = 3
SAME = 0.95  # a share of the plain network's speed that is no difference on a busy machine
# Groups' repeats, frames of 10 ms of each utterance, whether gradients are computed.
CASES = (
    ("15x5, training, 8 of 4 s", 3, [400] * 8, True),
    ("5x5, training, 8 of 8 s", 1, [800] * 8, True),
    ("5x5, training, 8 of 3 to 6 s", 1, [600, 560, 500, 450, 400, 380, 340, 300], True),
    ("5x5, training, 1 of 1 s", 1, [100], True),
    ("15x5, decoding, 1 of 4 s", 3, [400], False),
    ("15x5, decoding, 1 of 1 s", 3, [100], False),
)


def networks(num_repeats: int):
    """Ours and the plain one with the same weights."""
    import torch

    from asr_dro_plugin.nets.quartznet import QuartzNet, nemo_names
    from tests.nets.plain_quartznet import PlainQuartzNet

    torch.manual_seed(0)
    ours = QuartzNet(64, num_repeats)
    plain, names = PlainQuartzNet(64, ours.shapes), nemo_names(ours)
    plain.load_state_dict({names[name]: value for name, value in ours.state_dict().items()})
    return ours, plain


def steps(ours, plain, frames: list[int], training: bool) -> tuple[Callable, Callable]:
    """What is timed of each: forward, and backward in training."""
    import torch

    features, lengths = torch.randn(len(frames), max(frames), 64), torch.tensor(frames)
    inputs = features.transpose(1, 2).contiguous()
    slope = torch.randn(len(frames), -(-max(frames) // 2), 1024)

    def step_of_ours() -> None:
        ours.zero_grad()
        out = ours(features, lengths)[0]
        if training:
            (out * slope).sum().backward()

    def step_of_plain() -> None:
        plain.zero_grad()
        out = plain(inputs)
        if training:
            (out * slope.transpose(1, 2)).sum().backward()

    return step_of_ours, step_of_plain


def accuracy(num_repeats: int) -> str:
    """How far both are apart in double precision, and each in single from there, in words."""
    import torch

    from asr_dro_plugin.nets.quartznet import nemo_names

    found = {}
    for kind in (torch.float32, torch.float64):
        ours, plain = (net.to(kind) for net in networks(num_repeats))
        torch.manual_seed(1)
        features, slope = (torch.randn(2, *shape).to(kind) for shape in ((200, 64), (100, 1024)))
        outs = ours(features, torch.tensor([200, 200]))[0], plain(features.transpose(1, 2))
        for out, by in zip(outs, (slope, slope.transpose(1, 2)), strict=True):
            (out * by).sum().backward()
        names, theirs = nemo_names(ours), dict(plain.named_parameters())
        pairs = [(p.grad, theirs[names[name]].grad) for name, p in ours.named_parameters()]
        gradients = [torch.cat([grad.flatten() for grad in side]) for side in zip(*pairs)]
        found[kind] = (outs[0].detach(), outs[1].detach().transpose(1, 2)), gradients

    def apart(left: torch.Tensor, right: torch.Tensor) -> str:
        return f"{float((left - right).norm() / right.norm()):.0e}"

    (own, plain_out), gradients = found[torch.float64]
    single = [apart(side.double(), plain_out) for side in found[torch.float32][0]]
    return (
        f"{5 * num_repeats}x5: outputs {apart(own, plain_out)} and gradients {apart(*gradients)} "
        f"apart in double precision; outputs in single {single[0]} from there (plain {single[1]})"
    )


def timed(pair: tuple[Callable, Callable], runs: int) -> list[float]:
    """Median seconds of each, run in turn."""
    spent = [[], []]
    for _ in range(runs):
        for step, values in zip(pair, spent, strict=True):
            began = time.perf_counter()
            step()
            values.append(time.perf_counter() - began)
    return [median(values) for values in spent]


def main() -> int:
    """Print a line for each case; 1 where ours is slower."""
    import torch

    torch.set_num_threads(1)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    slower = False
    for num_repeats in sorted({case[1] for case in CASES}):
        print(accuracy(num_repeats), flush=True)
    for title, num_repeats, frames, training in CASES:
        ours, plain = networks(num_repeats)
        ours.train(training), plain.train(training)
        pair = steps(ours, plain, frames, training)
        with torch.set_grad_enabled(training):
            for step in pair:  # memory is there and caches are warm
                step()
            own, theirs = timed(pair, runs if training else 5 * runs)
        print(
            f"{title:<30} plain {theirs:7.3f} s   ours {own:7.3f} s   {theirs / own:5.2f} times",
            flush=True,
        )
        slower |= theirs / own < SAME
    print("SLOWER" if slower else "not slower")
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
