"""What a checkpoint costs the training: our save against a plain ``torch.save``, in one run.

    make bench

Held up: how long the call keeps the caller (the demand: no longer than 1.3 times ``torch.save``).
Work that ends later: what the training loses in all when a save falls into it, with the share of
the processor and of Python's lock that the writing thread takes; it means something where a core is
free.  Then 40 kills inside the writer.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from asr_dro_plugin.checkpoints.store import CheckpointStore

ROOT = Path(__file__).resolve().parents[1]
SIZES = {100: 11, 400: 7}  # megabytes: runs
LIMIT = 1.3  # times a plain torch.save
KILLS = 40
RUNS_OF_WORK = 7


def state_of(megabytes: int) -> dict:
    """Tensors of a megabyte, as many as a model and its optimiser have."""
    model = {f"layer.{i}.weight": torch.randn(512, 512) for i in range(megabytes)}
    return {"model": model, "step": 1}


def seconds(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def work(count: int) -> None:
    """Something like training steps: matrix products and a little Python."""
    a = torch.randn(256, 256)
    for _ in range(count):
        a = torch.tanh(a @ a)


def spread(times: list[float]) -> str:
    return f"{statistics.median(times):6.3f} s ({min(times):.3f}-{max(times):.3f})"


def bench_size(megabytes: int, runs: int, folder: Path) -> None:
    """Interleaved: plain, ours, plain, ours ...; the first of each warms up."""
    state = state_of(megabytes)
    plain_path, store = folder / "plain.pth", CheckpointStore(folder / "store")
    plain, held, safe = [], [], []
    for number in range(runs + 1):
        plain.append(seconds(lambda: torch.save(state, plain_path)))
        plain_path.unlink()
        begin = time.perf_counter()
        store.save(state, number)
        held.append(time.perf_counter() - begin)
        store.wait()
        safe.append(time.perf_counter() - begin)
    plain, held, safe = plain[1:], held[1:], safe[1:]
    ratio = statistics.median(held) / statistics.median(plain)
    print(f"{megabytes} MB, medians of {runs} interleaved runs")
    print(f"  torch.save                    {spread(plain)}")
    print(f"  ours, caller held up          {spread(held)}  {ratio:.2f} of it, limit {LIMIT}")
    print(f"  ours, until it is safe        {spread(safe)}  with checksum, fsync, reading back")
    bench_in_all(state, store, plain_path, 1.5 * statistics.median(safe))


def bench_in_all(state: dict, store: CheckpointStore, plain_path: Path, length: float) -> None:
    """``length`` seconds of work alone, with a plain save and with ours, interleaved; best of each.

    The best, for the difference of two long times drowns in what else the machine does.
    """
    count = round(length / min(seconds(lambda: work(200)) for _ in range(5)) * 200)
    alone, plain, ours = [], [], []
    for number in range(1000, 1000 + RUNS_OF_WORK):
        alone.append(seconds(lambda: work(count)))
        plain.append(seconds(lambda: (torch.save(state, plain_path), work(count))))
        plain_path.unlink()
        ours.append(seconds(lambda n=number: (store.save(state, n), work(count))))
        store.wait()
    base, late_plain, late_ours = min(alone), min(plain) - min(alone), min(ours) - min(alone)
    print(f"  {base:.2f} s of work end later     {late_plain:6.3f} s with torch.save")
    print(f"                                {late_ours:6.3f} s with ours, {circumstances()}")


def circumstances() -> str:
    """How to read the figure above on this machine."""
    return f"on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    try:
        for megabytes, runs in SIZES.items():
            bench_size(megabytes, runs, folder)
            shutil.rmtree(folder / "store")
        command = [
            sys.executable,
            "-m",
            "tests.checkpoint_kills",
            str(folder / "kills"),
            str(KILLS),
        ]
        subprocess.run(command, cwd=ROOT, check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
