"""The optimizers and schedules that shipped YAMLs name, through a whole training and a resume."""

import pytest

from tests.espnet import runs

pytestmark = pytest.mark.usefixtures("one_thread")

# As QuartzNet, DeepSpeech 2 and wav2vec 2.0 are trained.
PAIRS = {
    "quartznet": {
        "optim": "novograd",
        "optim_conf": {"lr": 0.05, "betas": [0.8, 0.25], "weight_decay": 0.001},
        "scheduler": "warmup_cosine",
        "scheduler_conf": {"max_steps": 8, "warmup_steps": 3},
    },
    "deepspeech2": {
        "optim": "adamw",
        "optim_conf": {"lr": 0.0001},
        "scheduler": "onecyclelr",
        "scheduler_conf": {"max_lr": 0.005, "pct_start": 0.1, "total_steps": 20},
    },
    "wav2vec2": {
        "optim": "adam",
        "optim_conf": {"lr": 0.0003, "betas": [0.9, 0.98], "eps": 1.0e-8},
        "scheduler": "tri_stage",
        "scheduler_conf": {"max_steps": 5},
    },
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_resumed_run_ends_where_the_uninterrupted_one_does(task, dump, tmp_path, name):
    changes = {**PAIRS[name], "use_matplotlib": False, "save_interval_steps": 0}
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    task.main(cmd=runs.command(dump, whole, **changes))
    for epochs in (1, 2):
        task.main(cmd=runs.command(dump, halves, **{**changes, "max_epoch": epochs}))
    one, two = runs.newest(whole), runs.newest(halves)
    for key in ("model", "optimizers", "schedulers"):
        assert runs.difference(one[key], two[key]) == []
    (optimizer,), (scheduler,) = one["optimizers"], one["schedulers"]
    updates = scheduler["last_epoch"]
    assert updates > 2  # the schedule moved, once an update
    assert optimizer["param_groups"][0]["lr"] != changes["optim_conf"]["lr"]
    steps = [state["step"] for state in optimizer["state"].values() if "step" in state]
    assert all(int(step) == updates for step in steps)
