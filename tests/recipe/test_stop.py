"""``./run.sh`` stopped in the middle of training, and given again."""

import os
import signal
import subprocess
import time

import pytest
import torch


@pytest.fixture
def start(recipe):
    """Start stage 11 and wait for its first checkpoint; the process and the experiment."""

    def begin(config: str, **changes):
        recipe_config = recipe.write_config(config, **changes)
        command = ["./run.sh", "--corpus", "tsv", "--data_source", str(recipe.table)]
        command += ["--asr_config", str(recipe_config), "--stop_stage", "11"]
        process = subprocess.Popen(
            command, cwd=recipe.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        exp = recipe.path / "exp" / f"asr_{recipe_config.stem}_raw_tsv_char"
        deadline = time.monotonic() + 300
        while not list(exp.glob("checkpoint.0*.pth")):
            assert process.poll() is None, process.stdout.read()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process, exp, command

    return begin


def stop_the_terminal(process):
    """Ctrl-C: the signal reaches every process of the terminal's group."""
    os.killpg(process.pid, signal.SIGINT)


def stop_the_process(process):
    """kill PID."""
    process.terminate()


@pytest.mark.parametrize("stop", [stop_the_terminal, stop_the_process])
def test_a_stopped_run_saves_itself_and_the_same_command_goes_on(start, recipe, stop):
    name = f"train_asr_{stop.__name__}.yaml"
    short = {"max_epoch": 4, "num_iters_per_epoch": 12}
    process, exp, command = start(name, save_interval_steps=5, num_workers=1, **short)
    before = max(int(path.name.split(".")[1]) for path in exp.glob("checkpoint.0*.pth"))
    stop(process)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 75, out[-2000:]
    assert "stage 11 train: stopped, and all of it is saved" in out
    assert "All of it is saved in" in (exp / "train.log").read_text()
    state = torch.load(exp / "checkpoint.pth", weights_only=True)
    assert state["asr_dro"]["position"]["steps"] >= before
    assert not (recipe.path / f"exp/.done/11_{exp.name}.json").exists()
    running = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True).stdout
    assert f"exp/{exp.name}" not in running
    again = subprocess.run(command, cwd=recipe.path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout[-3000:]
    log = (exp / "train.log").read_text()
    assert f"{state['asr_dro']['position']['steps']} steps done" in log
    assert not list(exp.parent.glob(f"{exp.name}.before_*"))
