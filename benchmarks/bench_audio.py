"""Reading sound: how fast, beside soundfile and PyAV alone; and two thousand broken files.

    make bench            (python benchmarks/bench_audio.py --runs 5 --files 500: less of it)
    python benchmarks/bench_audio.py --before OTHER_CHECKOUT      (beside that tree's reader too)

One thread; the sides alternate, medians are told.  Plain soundfile reads into float32 and averages
the channels, plain PyAV decodes and joins all frames: neither resamples, checks nor places what it
reads.  The demand: no slower than the tree before, and no broken file that is read otherwise than
PyAV alone reads it, but for silence (``tests/audio/fuzz.py``), or refused in more than one line.
"""

import argparse
import collections
import importlib
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import numpy as np
import soundfile

from tests.audio import fuzz
from tests.sounds import encode, noise

RUNS, SECONDS, NUM_FILES = 7, 120, 2000
SAME = 0.93  # a share of the speed before that is no difference on a busy machine
READ = (
    "import sys, time; sys.path.insert(0, sys.argv[1])\n"
    "from asr_dro_plugin.audio.files import read\n"
    "for path in sys.stdin:\n"
    "    began = time.perf_counter(); read(path.strip())\n"
    "    print(time.perf_counter() - began, flush=True)\n"
)


def write_files(folder: Path) -> list[Path]:
    """Two minutes of noise in each of the common forms."""
    mono, stereo = noise(SECONDS), noise(SECONDS, 44100, 2)
    soundfile.write(folder / "mono.wav", mono, 16000)
    soundfile.write(folder / "stereo.wav", stereo, 44100)
    soundfile.write(folder / "mono.flac", mono, 16000)
    soundfile.write(folder / "stereo.flac", stereo, 44100)
    encode(folder / "mono.mp3", noise(SECONDS, 44100), 44100, "libmp3lame")
    encode(folder / "mono.opus", noise(SECONDS, 48000), 48000, "libopus")
    encode(folder / "mono.webm", noise(SECONDS, 48000), 48000, "libopus")
    encode(folder / "mono.m4a", noise(SECONDS, 44100), 44100, "aac")
    return sorted(folder.iterdir())


def plain_soundfile(path: Path) -> Callable | None:
    """Read and average, as one writes it by hand; None where libsndfile has no reader."""
    try:
        soundfile.info(path)
    except soundfile.LibsndfileError:
        return None
    return lambda: soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)


def plain_av(path: Path) -> Callable:
    """Decode all and join, as one writes it by hand."""

    def read() -> np.ndarray:
        with av.open(str(path)) as container:
            return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], 1)

    return read


class Tree:
    """A checkout's reader in a process of its own, so that two can be compared in one run."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", READ, str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def seconds(self, path: Path) -> float:
        """What the other process took for a file."""
        print(path, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def seconds_of(read: Callable) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


def compare(path: Path, ours: Tree, before: Tree | None, runs: int) -> bool:
    """One line of the table; whether we are no slower than before."""
    sides = {"ours": lambda: ours.seconds(path)}
    if before:
        sides["before"] = lambda: before.seconds(path)
    if sound := plain_soundfile(path):
        sides["soundfile"] = lambda: seconds_of(sound)
    sides["PyAV"] = lambda: seconds_of(plain_av(path))
    spent = {name: [] for name in sides}
    for _ in range(runs + 1):  # the first warms up
        for name, side in sides.items():
            spent[name].append(side())
    found = {name: median(values[1:]) for name, values in spent.items()}
    rows = [f"{name} {SECONDS / value:6,.0f} s/s" for name, value in found.items()]
    ratios = [f"{value / found['ours']:.2f} times {name}" for name, value in found.items()][1:]
    print(f"  {path.name:<12}{'  '.join(rows)}   ours: {', '.join(ratios)}", flush=True)
    return found.get("before", found["ours"]) / found["ours"] > SAME


def fuzzed(folder: Path, num_files: int) -> int:
    """Break so many files and judge what is read of them; the number of wrong ones."""
    whole = fuzz.whole_files(folder)
    rng, names, wrong = np.random.default_rng(0), list(whole), 0
    verdicts: dict[str, collections.Counter] = {name: collections.Counter() for name in names}
    began = time.perf_counter()
    for number in range(num_files):
        name = names[number % len(names)]
        kind, content = fuzz.broken(whole[name], rng)
        (folder / name).write_bytes(content)
        verdict = fuzz.judge(folder / name)
        if verdict not in ("confirmed", "refused"):
            print(f"  {name} after {kind}: {verdict}")
            wrong += 1
        verdicts[name][verdict] += 1
    for name, counts in verdicts.items():
        print(f"  {name:<8}" + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    print(f"{num_files} broken files, {wrong} read wrongly, {time.perf_counter() - began:.0f} s")
    return wrong


def main() -> int:
    """Both tables; 1 if a file was read wrongly, or more slowly than before."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--files", type=int, default=NUM_FILES, help="broken files")
    parser.add_argument("--before", type=Path, help="another checkout")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    av.logging.set_level(None)
    root = Path(importlib.import_module("asr_dro_plugin").__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        ours, before = Tree(root), Tree(args.before) if args.before else None
        print(f"Reading {SECONDS} s (seconds of sound a second; above 1: we are quicker)")
        done = [compare(path, ours, before, args.runs) for path in write_files(Path(folder))]
        for tree in filter(None, (ours, before)):
            tree.process.stdin.close()
    with tempfile.TemporaryDirectory() as folder:
        wrong = fuzzed(Path(folder), args.files)
    return int(bool(wrong) or not all(done))


if __name__ == "__main__":
    sys.exit(main())
