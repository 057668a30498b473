"""Trains in a child process that is killed again and again until it has come to the end.

One process imports ESPnet once and forks a child for each life; each ends by a signal at a random
moment, the last one by itself.  Used by the tests and by ``benchmarks/bench_survival.py``:

    python -m tests.espnet.survivor DUMP EXP --kills 20 --signal KILL --seed 1

prints ``lives kills`` at the end.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from asr_dro_plugin.base.loading import quick_imports
from tests.espnet.runs import command

STOPPED = 75


def live(words: list[str]) -> None:
    """Train in this (forked) process and leave it with the command's exit code."""
    from asr_dro_plugin.errors import run_main
    from asr_dro_plugin.espnet.task import DROASRTask

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        run_main(lambda: DROASRTask.main(cmd=words))


def life(words: list[str], number: int, wait: Callable[[int], bool] | None) -> tuple[int, bool]:
    """One child: (exit status, whether it was killed).

    Args:
        wait: returns when the child (its process id) is to be killed, False if it has ended; None
            lets it live.
    """
    child = os.fork()
    if not child:
        live(words)
    if wait is None or not wait(child):
        return os.waitpid(child, 0)[1], False
    os.kill(child, number)
    return os.waitpid(child, 0)[1], True


def is_over(child: int) -> bool:
    """Whether a child has ended; its status can still be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def a_while(seconds: float) -> Callable[[int], bool]:
    """Wait for so long."""

    def wait(child: int) -> bool:
        time.sleep(seconds)
        return not is_over(child)

    return wait


def in_writer(exp: Path, count: int, seconds: float) -> Callable[[int], bool]:
    """Wait until the ``count``-th checkpoint is being written, and a moment more."""

    def wait(child: int) -> bool:
        seen: set[str] = set()
        before = set(os.listdir(exp))
        while len(seen) < count:
            seen |= {n for n in os.listdir(exp) if n.startswith(".checkpoint")} - before
            if is_over(child):
                return False
        time.sleep(seconds)
        return not is_over(child)

    return wait


def main() -> int:
    """Kill until ``--kills`` is reached, then let the run come to its end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dump", type=Path)
    parser.add_argument("exp", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--signal", default="KILL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=2.0)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--in_writer", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with quick_imports():
        import asr_dro_plugin.espnet.task  # noqa: F401  once, for all lives

    words = command(args.dump, args.exp, max_epoch=args.epochs, use_matplotlib=False)
    number, draw = signal.Signals[f"SIG{args.signal}"], random.Random(args.seed)
    args.exp.mkdir(exist_ok=True)
    kills = lives = 0
    while True:
        lives += 1
        wait = a_while(draw.uniform(0.2, args.longest))
        if args.in_writer:
            wait = in_writer(args.exp, draw.randint(1, 3), draw.uniform(0, 0.004))
        status, killed = life(words, number, wait if kills < args.kills else None)
        kills += killed
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            print(lives, kills)
            return 0
        if code not in (-signal.SIGKILL, STOPPED, -number):
            print(f"life {lives} ended with {code}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
