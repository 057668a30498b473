"""How many threads compute, and how they wait for each other, where the user did not say.

OpenMP's threads spin while they wait: a core that another process wants is kept busy with nothing,
and a training beside other load runs several times slower (benchmarks/bench_threads.py).  Threads
that sleep instead cost a quiet machine a few percent.  OpenMP reads the environment once, when
PyTorch is first imported, so this runs before.
"""

from collections.abc import MutableMapping

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
GRANTED = "SLURM_CPUS_PER_TASK"


def set_thread_defaults(environment: MutableMapping[str, str]) -> None:
    """Threads that sleep while they wait; inside a Slurm job as many as it was granted."""
    if "OMP_WAIT_POLICY" not in environment:
        environment.update({k: v for k, v in WAITING.items() if k not in environment})
    if environment.get(GRANTED, "").isdigit():
        environment.setdefault("OMP_NUM_THREADS", environment[GRANTED])
