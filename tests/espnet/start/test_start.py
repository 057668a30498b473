"""The log of a training says where the time before its first step went."""

import re
import subprocess
import sys
from pathlib import Path

from tests.espnet import runs

ROOT = Path(__file__).resolve().parents[3]
BEFORE = ["imports", "options", "experiment directory", "model", "optimizer"]
PLANNED = ["train data", "train plan", "valid data", "valid plan"]
SEQUENCE = {"iterator_type": "sequence", "sampler": "none", "sampler_conf": {}, "batch_size": 3}


def phases(dump, exp, **changes):
    """(phase, seconds, seconds in all) of a training command's log."""
    plain = {"use_matplotlib": False, "num_iters_per_epoch": 2}
    words = runs.command(dump, exp, **plain, **changes)
    run = subprocess.run(
        [sys.executable, "-m", "asr_dro_plugin.bin.train", *words], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    found = re.findall(r"Start: (.+) (\d+\.\d) s, (\d+\.\d) s in all", run.stderr)
    return [(phase, float(seconds), float(in_all)) for phase, seconds, in_all in found]


def test_a_training_tells_the_seconds_of_each_phase_once_and_again_when_it_goes_on(dump, tmp_path):
    found = phases(dump, tmp_path / "exp", max_epoch=1)
    names = [phase for phase, _, _ in found]
    assert names == [*BEFORE, *PLANNED, "checkpoint", "trial", "first step"]
    in_all = [seconds for _, _, seconds in found]
    assert in_all == sorted(in_all)
    assert abs(sum(seconds for _, seconds, _ in found) - in_all[-1]) < 0.05 * len(found) + 0.05
    assert found[0][1] == in_all[0] > 0  # imports are never free
    names = [phase for phase, _, _ in phases(dump, tmp_path / "exp", max_epoch=2)]
    assert names == [*BEFORE, *PLANNED, "checkpoint", "first step"]


def test_with_espnets_batches_data_and_plan_are_one_phase(dump, tmp_path):
    names = [phase for phase, _, _ in phases(dump, tmp_path / "exp", max_epoch=1, **SEQUENCE)]
    middle = ["train data and plan", "valid data and plan"]
    assert names == [*BEFORE, *middle, "checkpoint", "trial", "first step"]
