"""Trains in a child process that is killed again and again until it has come to the end.

One process imports ESPnet once and forks a child for each life; each ends by a signal at a random
moment, the last one by itself.  Used by the tests and by ``tests/benchmarks/bench_survival.py``:

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
from pathlib import Path

import torch

from tests.espnet.runs import command

STOPPED = 75


def live(words: list[str]) -> None:
    """Train in this (forked) process and leave it with the command's exit code."""
    from asr_dro_plugin.errors import run_main
    from asr_dro_plugin.espnet.task import DROASRTask

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        run_main(lambda: DROASRTask.main(cmd=words))


def life(words: list[str], number: int, delay: float | None) -> tuple[int, bool]:
    """One child: (exit status, whether it was killed)."""
    child = os.fork()
    if not child:
        live(words)
    killed = False
    if delay is not None:
        time.sleep(delay)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status, False
        os.kill(child, number)
        killed = True
    _, status = os.waitpid(child, 0)
    return status, killed


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
    args = parser.parse_args()
    torch.set_num_threads(1)
    import asr_dro_plugin.espnet.task  # noqa: F401  once, for all lives

    words = command(args.dump, args.exp, max_epoch=args.epochs)
    number, draw = signal.Signals[f"SIG{args.signal}"], random.Random(args.seed)
    kills = lives = 0
    while True:
        lives += 1
        delay = draw.uniform(0.2, args.longest) if kills < args.kills else None
        status, killed = life(words, number, delay)
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
