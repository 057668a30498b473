"""Processes that ESPnet spawns, one a GPU; here without GPUs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from torch.multiprocessing import ProcessContext

from asr_dro_plugin.errors import TrainingStopped, UserError, run_main
from asr_dro_plugin.espnet.process.signals import StopRequest, parent_of_children
from tests.espnet.two_ranks import server_of_processes

ROOT = Path(__file__).resolve().parents[3]


def stops_when_asked(ready):
    with StopRequest() as request:
        ready.set()
        while request.stop is None:
            time.sleep(0.02)
    raise TrainingStopped("A signal stopped training.")


def child(ready):
    run_main(lambda: stops_when_asked(ready))


def test_a_signal_to_the_parent_stops_the_children_and_their_exit_code_comes_up():
    context = server_of_processes()
    events = [context.Event() for _ in range(2)]
    with pytest.raises(UserError, match="its own message says why") as ended, parent_of_children():
        processes = [context.Process(target=child, args=(e,), daemon=True) for e in events]
        for process in processes:
            process.start()
        assert all(event.wait(300) for event in events)
        # From a thread, so that the parent is waiting for its children as in ESPnet's main.
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        while not ProcessContext(processes, ["none", "none"]).join():
            pass
    assert ended.value.exit_code == 75


def test_two_processes_train_through_the_task_and_stop_and_resume_together(dump, tmp_path):
    """As ``torchrun`` or ``srun`` would start them: one command a rank, gloo on the CPU."""
    from tests.espnet import runs

    exp = tmp_path / "exp"
    words = runs.command(dump, exp, use_matplotlib=False, max_epoch=3, num_workers=1)
    port = str(20000 + os.getpid() % 20000)
    words += ["--dist_world_size", "2", "--dist_backend", "gloo", "--dist_master_port", port]
    words += ["--dist_master_addr", "localhost"]

    def start():
        return [
            subprocess.Popen(
                [sys.executable, "-m", "asr_dro_plugin.bin.train", *words, "--dist_rank", rank],
                cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL, text=True,
            )
            for rank in ("0", "1")
        ]  # fmt: skip

    processes = start()
    while not list(exp.glob("checkpoint.0*.pth")) and processes[0].poll() is None:
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)  # one of them is enough
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [75, 75], errors[0][-500:]
    assert "the same command goes on from there" in errors[0]
    processes = start()
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors[0][-500:]
    stats = runs.newest(exp)["reporter"]["stats"]
    assert sorted(stats) == [1, 2, 3]
    import json

    rows = json.loads((exp / "seen.json").read_text())
    num_utts = len((dump / "train" / "text").read_text().splitlines())
    assert sum(row["utterances"] for row in rows) == 3 * num_utts
