"""How long a plan takes, how full and how padded its batches are, against lhotse's sampler.

    make bench            (python benchmarks/bench_samplers.py 100000: fewer utterances)

The demands for a million utterances in 143 groups: 10 s, 1 GiB, full batches filled to 95 % of d,
no more padding than lhotse's ``DynamicBucketingSampler`` with 30 buckets on the same durations.
lhotse is compared where it is installed; it knows no groups, so that its batches mix them, and its
``max_duration`` bounds the padded seconds of a batch (utterances * longest), not those of speech.
"""

import importlib.util
import resource
import statistics
import sys
import time
import warnings

import numpy as np

from asr_dro_plugin.samplers import SAMPLERS, plan_batches
from asr_dro_plugin.samplers.describe import PlanStats, describe_plan

NUM, NUM_GROUPS, DURATION = 1_000_000, 143, 50.0
RUNS = 3
LIMIT_SECONDS, LIMIT_GIB = 10.0, 1.0


def corpus(kind: str, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of speech, and groups whose sizes follow Zipf's law."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, NUM_GROUPS + 1)
    groups = rng.choice(NUM_GROUPS, num, p=shares / shares.sum())
    if kind == "uniform":
        return rng.uniform(1, 20, num), groups
    return np.clip(rng.lognormal(np.log(6) - 0.18, 0.6, num), 0.5, 20), groups


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def planned(data: tuple, method: str) -> tuple[float, float, PlanStats]:
    """Median seconds, GiB on top of what was used before, and figures of one plan."""
    times, before = [], peak_gib()
    for epoch in range(1, RUNS + 1):
        begin = time.perf_counter()
        batches = plan_batches(*data, method=method, duration=DURATION, seed=0, epoch=epoch)
        times.append(time.perf_counter() - begin)
    return (
        statistics.median(times),
        peak_gib() - before,
        describe_plan(batches, *data, DURATION),
    )


def bucketed(durations: np.ndarray) -> tuple[float, float, float]:
    """lhotse on the same durations: seconds to draw an epoch, mean fill, share of padding."""
    from lhotse import CutSet
    from lhotse.dataset.sampling import DynamicBucketingSampler
    from lhotse.testing.dummies import dummy_cut

    cuts = CutSet([dummy_cut(number, duration=d) for number, d in enumerate(durations.tolist())])
    begin = time.perf_counter()
    sampler = DynamicBucketingSampler(
        cuts, max_duration=DURATION, num_buckets=30, shuffle=True, seed=0, rank=0, world_size=1
    )
    batches = [[cut.duration for cut in batch] for batch in sampler]
    taken = time.perf_counter() - begin
    speech = np.array([sum(batch) for batch in batches])
    padded = sum(len(batch) * max(batch) for batch in batches)
    return taken, float(speech.mean() / DURATION), float(1 - speech.sum() / padded)


def main() -> None:
    """Print a line a method, and the comparison for both kinds of durations."""
    num = int(sys.argv[1]) if len(sys.argv) > 1 else NUM
    has_lhotse = importlib.util.find_spec("lhotse") is not None
    warnings.filterwarnings("ignore", module="lhotse")
    for kind in ("lognormal", "uniform"):
        data = corpus(kind, num)
        print(f"{num:,} utterances, {kind}, mean {data[0].mean():.1f} s, {NUM_GROUPS} groups")
        figures = {method: planned(data, method) for method in SAMPLERS}
        for method, (taken, gib, stats) in figures.items():
            print(
                f"  {method:<14} median {taken:5.2f} s of {RUNS} runs "
                f"({taken / LIMIT_SECONDS:.2f} of the limit), +{gib:.2f} GiB "
                f"({gib / LIMIT_GIB:.2f}), fill {100 * stats.mean_fill:.1f} %, "
                f"padding {100 * stats.padding:.2f} %, longest run {stats.longest_run}"
            )
        quantiles = " ".join(f"{100 * q:.1f}" for q in figures["group_duration"][2].fill_quantiles)
        print(f"  group_duration fills, % of d at 0 5 25 50 75 95 100 %: {quantiles}")
        if not has_lhotse:
            print("  lhotse is not installed in this environment: not compared")
            continue
        taken, fill, padding = bucketed(data[0])
        ours = figures["group_duration"]
        print(
            f"  lhotse         {taken:5.1f} s ({taken / ours[0]:.0f} times ours), "
            f"fill {100 * fill:.1f} %, padding {100 * padding:.2f} % "
            f"(ours {ours[2].padding / padding:.2f} of it)"
        )


if __name__ == "__main__":
    main()
