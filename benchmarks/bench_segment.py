"""Cutting at pauses, and forced alignment from seconds to two hours, against torchaudio's.

    make bench            (python benchmarks/bench_segment.py 10: shorter than 120 minutes)

The demands: 300 pauses in less than a second; a two-hour recording aligned with its text in less
than 2 GiB, every token within a frame of where it was said.  Peak memory is that of a process of
its own.  torchaudio's forced_align gets the same emission and must find the same score, up to some
twenty minutes: it counts frames * states in 32 bits and crashes beyond.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from asr_dro_plugin.decoding.align import align_tokens
from asr_dro_plugin.decoding.segment import Lengths, Stretch, cut

COLUMNS, SHIFT, TOKENS_A_SECOND = 64, 0.02, 14
RUNS = 3
LIMIT_SECONDS, LIMIT_GIB = 1.0, 2.0


def median(function, runs: int = RUNS) -> float:
    """Median seconds of a call."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def cutting() -> None:
    """Recordings of 300, 3,000 and 30,000 pauses."""
    for num in (300, 3000, 30000):
        rng = np.random.default_rng(0)
        edges = np.cumsum(rng.uniform(0.2, 2, 2 * num + 2)).reshape(-1, 2)
        stretches = [Stretch(*edge) for edge in edges.tolist()]
        duration = float(edges[-1, 1])
        pieces = cut(stretches, Lengths(5, 20), duration)
        assert not any(piece.faults for piece in pieces)
        taken = median(partial(cut, stretches, Lengths(5, 20), duration))
        print(f"  {num:>6,} pauses: median {taken:.4f} s of {RUNS} runs "
              f"({taken / LIMIT_SECONDS:.3f} of the limit), {len(pieces)} pieces")  # fmt: skip


def spoken(minutes: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log probabilities (T, V), ids (U,) and their first frames: peaks of 0.6 to 0.9 in noise."""
    rng = np.random.default_rng(0)
    frames = round(minutes * 60 / SHIFT)
    number = round(minutes * 60 * TOKENS_A_SECOND)
    starts = np.sort(rng.choice(np.arange(0, frames, 2), number, replace=False))
    ids = rng.integers(1, COLUMNS, number)
    path = np.zeros(frames, dtype=np.int64)
    path[starts] = ids
    noise = rng.random((frames, COLUMNS), dtype=np.float32) + np.float32(1e-6)
    peak = rng.uniform(0.6, 0.9, frames).astype(np.float32)
    noise *= ((1 - peak) / noise.sum(1))[:, None]
    noise[np.arange(frames), path] += peak
    return np.log(noise, out=noise), ids, starts


def path_score(log_probs, spans) -> float:
    path = np.zeros(len(log_probs), dtype=np.int64)
    for span in spans:
        path[span.start : span.end] = span.id
    return float(log_probs[np.arange(len(path)), path].astype(np.float64).sum())


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def ours(minutes: float, runs: int) -> tuple:
    """Seconds, score, GiB of this process and of the emission alone, farthest token in frames."""
    log_probs, ids, starts = spoken(minutes)
    before = peak_gib()
    spans = align_tokens(log_probs, ids, 0)
    grown, peak = peak_gib() - before, peak_gib()
    taken = median(lambda: align_tokens(log_probs, ids, 0), runs)
    off = int(np.abs(np.array([span.start for span in spans]) - starts).max())
    return taken, path_score(log_probs, spans), peak, grown, off


def theirs(minutes: float, runs: int) -> tuple:
    """Seconds, score and GiB of this process, with torchaudio."""
    import torch
    from torchaudio.functional import forced_align

    torch.set_num_threads(1)
    log_probs, ids, _ = spoken(minutes)
    given = torch.from_numpy(log_probs)[None], torch.from_numpy(ids)[None]
    scores = forced_align(*given, blank=0)[1]
    taken = median(lambda: forced_align(*given, blank=0), runs)
    return taken, float(scores.double().sum()), peak_gib()


def in_a_process(function, *arguments):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def aligning(longest: float) -> None:
    """From five seconds to the longest recording."""
    for minutes in [m for m in (1 / 12, 0.5, 2, 10, 30, 120) if m < longest] + [longest]:
        frames = round(minutes * 60 / SHIFT)
        tokens = round(minutes * 60 * TOKENS_A_SECOND)
        runs = RUNS if minutes < 10 else 1
        taken, score, peak, grown, off = in_a_process(ours, minutes, runs)
        print(f"  {minutes:6.2f} min, {frames:,} frames, {tokens:,} tokens: {taken:.3f} s, "
              f"peak {peak:.2f} GiB ({peak / LIMIT_GIB:.2f} of the limit), {grown:.2f} of them "
              f"beyond the emission, farthest token {off} frames off")  # fmt: skip
        if frames * (2 * tokens + 1) >= 2**31:
            print("         torchaudio: crashes (frames * states above 2^31)")
            continue
        their_taken, their_score, their_peak = in_a_process(theirs, minutes, runs)
        assert abs(score - their_score) <= 1e-5 * abs(their_score), (score, their_score)
        print(f"         torchaudio: {their_taken:.3f} s, peak {their_peak:.2f} GiB, same score; "
              f"ours takes {taken / their_taken:.1f} times as long")  # fmt: skip


def main() -> None:
    """Print what was measured."""
    print("Cutting at pauses, pieces of 5 to 20 s")
    cutting()
    print(f"Forced alignment, {COLUMNS} columns, {1000 * SHIFT:g} ms frames")
    aligning(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0)


if __name__ == "__main__":
    main()
