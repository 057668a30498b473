"""How fast each form of a model is on this machine, all in one run, one after the other.

Rounds are interleaved: in each one every form hears the same speech, so that what else the machine
does meets all of them alike; a ratio is taken within a round, and the median over rounds is told.
With one thread the clock is the processor's own time, which others who want the core do not
lengthen.
"""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.export.int8.sessions import log_probs_of, opened

ROUNDS, THREADS = 15, (1, 2)
SAMPLE_SECONDS = 15.0  # of speech heard in a round
# What makes products of 8 bits fast and exact: dot products that do not saturate.
DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
VECTORS = ("avx2", "avx512f", "asimd")


@dataclass(frozen=True)
class Speed:
    """Of one form at one number of threads.

    Attributes:
        times_real_time: seconds of speech in a second.
        ratio: to fp32 in the same run; above 1 is faster.
    """

    times_real_time: float
    ratio: float


def speeds(
    models: Mapping[str, Path], base: str, speech: Sequence[np.ndarray], threads: int,
    bar: Progress, rounds: int = ROUNDS,
) -> dict[str, Speed]:  # fmt: skip
    """Speed of each form by name.

    Args:
        models: name -> file.
        base: the name that ratios are to.
        speech: utterances (N,) that are heard in each round.
        threads: of each session.
    """
    sessions = {name: opened(path, threads) for name, path in models.items()}
    for session in sessions.values():
        log_probs_of(session, speech[0])
    seconds: dict[str, list[float]] = {name: [] for name in models}
    clock = time.thread_time if threads == 1 else time.perf_counter
    for number in range(rounds):
        for name in _order(list(models), number):
            begin = clock()
            for samples in speech:
                log_probs_of(sessions[name], samples)
            seconds[name].append(clock() - begin)
            bar.advance(note=f"{name}, {threads} threads")
    heard = sum(map(len, speech)) / SAMPLE_RATE
    return {
        name: Speed(
            heard / median(taken),
            median(one / other for one, other in zip(seconds[base], taken, strict=True)),
        )
        for name, taken in seconds.items()
    }


def _order(names: list[str], number: int) -> list[str]:
    """Each round begins with another form."""
    first = number % len(names)
    return names[first:] + names[:first]


def sample_of(speech: Sequence[np.ndarray], seconds: float = SAMPLE_SECONDS) -> list[np.ndarray]:
    """The first utterances, until they last so long; at least one."""
    found, heard = [], 0.0
    for samples in speech:
        found.append(samples)
        heard += len(samples) / SAMPLE_RATE
        if heard >= seconds:
            break
    return found


def processor() -> dict:
    """``{"name", "vectors", "dot_products"}`` of the machine that measures."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return {
        "name": fields.get("model name") or platform.processor() or platform.machine(),
        "vectors": [flag for flag in VECTORS if flag in flags],
        "dot_products": [flag for flag in DOT_PRODUCTS if flag in flags],
    }
