"""One thread or two, spinning or sleeping while they wait, alone and beside other load.

The stack of ``conf/train_asr_ctc_dro_mini.yaml``: steps of training on batches of 50 s, and
emissions of single utterances of 5 s as decoding makes them.  OpenMP reads its environment once,
so that every setting is a process of its own; the settings take turns.  Beside other load means one
process a core that multiplies matrices with the default settings of PyTorch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_step

SETTINGS = {
    "1 thread, sleeping": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
    "2 threads, sleeping": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    "2 threads, spinning": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "active"},
    "2 threads, PyTorch's default": {"OMP_NUM_THREADS": "2"},
}
STEPS, ROUNDS, UTTERANCES = 8, 3, 20
LOAD = "import torch; a = torch.rand(700, 700)\nwhile True: a @ a"


def measure() -> dict[str, list[float]]:
    """Seconds of steps of training and of decoding single utterances, in this process."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        model, stepper, updater = bench_step.build("ctc_dro", Path(folder))
    training, decoding = [], []
    for step in range(STEPS):
        given = bench_step.batch_of(step)
        began = time.perf_counter()
        stepper.backward(*given, timer=bench_step.untimed)
        updater.update(step, bench_step.untimed)
        training.append(time.perf_counter() - began)
    model.eval()
    speech, length = torch.randn(1, 80_000), torch.tensor([80_000])
    with torch.no_grad():
        for _ in range(UTTERANCES):
            began = time.perf_counter()
            model.ctc.log_softmax(model.encode(speech, length)[0])
            decoding.append(time.perf_counter() - began)
    return {"training": training[2:], "decoding": decoding[2:]}


def in_a_process(setting: dict[str, str]) -> dict[str, list[float]]:
    """``measure`` under an environment."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    spin = {"GOMP_SPINCOUNT": "0"} if setting.get("OMP_WAIT_POLICY") == "passive" else {}
    done = subprocess.run(
        [sys.executable, __file__, "measure"], env={**inherited, **setting, **spin},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Print the table of medians, alone and beside other load."""
    for place, others in (("alone", 0), ("beside other load", os.cpu_count() or 1)):
        load = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(others)]
        try:
            rounds = [{name: in_a_process(s) for name, s in SETTINGS.items()}
                      for _ in range(ROUNDS)]  # fmt: skip
        finally:
            for process in load:
                process.kill()
        print(f"{place}: medians of {ROUNDS} processes a setting, {os.cpu_count()} cores")
        for name in SETTINGS:
            for work in ("training", "decoding"):
                own, first = (
                    statistics.median(x for each in rounds for x in each[which][work])
                    for which in (name, next(iter(SETTINGS)))
                )
                unit = "batch of 50 s" if work == "training" else "utterance of 5 s"
                print(f"  {name:<30}{work} {own:.3f} s a {unit}, {own / first:.2f} times the first")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        print(json.dumps(measure()))
    else:
        sys.exit(main())
