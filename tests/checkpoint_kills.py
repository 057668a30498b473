"""Kill a process that saves checkpoints, again and again, and look at what is left.

    python -m tests.checkpoint_kills FOLDER NUM_KILLS [SEED]

A child resumes from the newest checkpoint and saves one after the other; SIGKILL comes at a random
moment, mostly inside the writer for it does nothing else.  What must hold after every kill: the
newest readable checkpoint is whole and not older than the last one that the child knew to be safe.
"""

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

import torch

from asr_dro_plugin.checkpoints.store import CheckpointStore

SIZE = 1 << 20  # numbers in a state: 4 MB
LATEST = 0.1  # seconds after the first save that the kill comes at the latest


def state_of(number: int) -> dict:
    """A state that shows by itself whether it is whole and of one piece."""
    return {
        "number": number,
        "w": torch.full((SIZE,), float(number)),
        "v": torch.full((9,), number),
    }


def save_for_ever(folder: Path, report: int) -> None:
    """Resume, then save without end, telling ``report`` each number once it is safe."""
    store = CheckpointStore(folder)
    loaded = store.load()
    number = loaded[0]["number"] if loaded else 0
    while True:
        number += 1
        store.save(state_of(number), number)
        store.wait()
        os.write(report, f"{number}\n".encode())


def kill_once(folder: Path, delay: float) -> int:
    """Start the child, kill it ``delay`` seconds after its first save; the last safe number."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            save_for_ever(folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    select.select([reading], [], [], 60)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading) as stream:
        numbers = stream.read().split()
    if not numbers:
        raise SystemExit("the child saved nothing")
    return int(numbers[-1])


def check(folder: Path, safe: int) -> None:
    """Leave with a message unless the folder holds a whole state, ``safe`` or newer."""
    state, path = CheckpointStore(folder).load()
    number = state["number"]
    whole = state["w"].numel() == SIZE and bool((state["w"] == number).all())
    if not whole or not bool((state["v"] == number).all()) or number < safe:
        raise SystemExit(f"{path} holds {number}, whole: {whole}; {safe} was safe")


def main(folder: Path, num_kills: int, seed: int = 1) -> None:
    """Print how many of the kills came in the middle of writing."""
    torch.set_num_threads(1)
    draw = random.Random(seed)
    inside = 0
    for _ in range(num_kills):
        safe = kill_once(folder, draw.uniform(0, LATEST))
        inside += any(folder.glob(".*.tmp"))
        check(folder, safe)
    print(f"{num_kills} kills, {inside} inside the writer, newest {safe}, nothing lost")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
