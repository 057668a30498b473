"""Whether a run lives, how far it is, and how long it will take, from its files."""

import os

import pytest

from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.read.run_state import RunWatcher, duration_words

NOW = 1_000_000.0


def write_run(exp, epochs=2, max_epoch=4, since=10.0, end=None, interval=10.0):
    """Epochs of 4 batches, a report every two; ``since`` seconds ago came the last of them."""
    exp.mkdir(exist_ok=True)
    (exp / "config.yaml").write_text(f"max_epoch: {max_epoch}\naccum_grad: 2\n")
    count = 2 * epochs
    records = []
    for number in range(1, count + 1):
        time = NOW - since - interval * (count - number)
        epoch, batches = (number + 1) // 2, 2 * number
        loss = {"loss": 10.0 / number, "skipped_steps": 1.0}
        records.append(Record("train", epoch, number, batches, False, time, loss))
        if number % 2 == 0:
            records.append(Record("train", epoch, number, batches, True, time, loss))
            records.append(Record("valid", epoch, number, batches, True, time, {"loss": 5.0}))
    (exp / "metrics.jsonl").write_text("".join(f"{r.to_json()}\n" for r in records))
    (exp / "train.log").write_text("# host\n" + (f"# Ended (code {end}) at x\n" if end else ""))
    for name in ("metrics.jsonl", "train.log", "config.yaml"):
        os.utime(exp / name, (NOW - since, NOW - since))
    return RunWatcher(exp)


def test_a_run_that_reports_is_running_and_its_end_is_foreseen(tmp_path):
    state = write_run(tmp_path / "exp").state(NOW)
    assert state.condition == "running" and (state.epoch, state.max_epoch) == (3, 4)
    assert (state.done, state.total, state.updates) == (8, 16, 4)
    assert state.seconds_left == pytest.approx(8 * 5.0)  # 2 batches every 10 s
    assert state.sign_age == pytest.approx(10) and state.num_skipped == 1
    assert state.checkpoint_age is None


def test_the_jobs_progress_file_is_ahead_of_the_reports(tmp_path):
    watcher = write_run(tmp_path / "exp")
    (tmp_path / "exp" / "train.log.progress").write_text("13 20 epoch 4/4 loss 1.5\n")
    state = watcher.state(NOW)
    assert (state.done, state.total) == (13, 20) and state.epoch == 3


@pytest.mark.parametrize(
    ("code", "condition", "words"),
    [
        ("0", "finished", "finished"),
        ("75", "ended", "everything saved"),
        ("74", "ended", "disk is full"),
        ("-9", "ended", "killed by signal 9"),
        ("143", "ended", "killed by signal 15"),
        ("1", "ended", "failed (exit code 1)"),
    ],
)
def test_how_a_run_ended_is_said(tmp_path, code, condition, words):
    state = write_run(tmp_path / "exp", since=5000, end=code).state(NOW)
    assert state.condition == condition and words in state.words
    assert state.seconds_left is None


def test_a_run_that_says_nothing_for_long_is_silent_and_a_slow_one_is_not(tmp_path):
    assert write_run(tmp_path / "a", since=170).state(NOW).condition == "running"
    silent = write_run(tmp_path / "b", since=1200).state(NOW)
    assert silent.condition == "silent" and "no sign for 20 min" in silent.words
    slow = write_run(tmp_path / "c", since=1200, interval=900).state(NOW)
    assert slow.condition == "running"


def test_a_run_that_goes_on_after_its_log_ended_is_running(tmp_path):
    watcher = write_run(tmp_path / "exp", end="75")
    os.utime(tmp_path / "exp" / "train.log", (NOW - 500, NOW - 500))
    assert watcher.state(NOW).condition == "running"


def test_without_a_log_the_average_after_the_last_epoch_tells_the_end(tmp_path):
    watcher = write_run(tmp_path / "exp", epochs=4)
    (tmp_path / "exp" / "train.log").unlink()
    assert watcher.state(NOW).condition == "running"
    best = tmp_path / "exp" / "1epoch.pth"
    best.touch()
    os.utime(best, (NOW - 500, NOW - 500))
    average = tmp_path / "exp" / "valid.loss.ave.pth"
    average.symlink_to(best.name)
    os.utime(average, (NOW - 5, NOW - 5), follow_symlinks=False)
    assert watcher.state(NOW).condition == "finished"


def test_a_run_that_has_only_begun_is_waited_for(tmp_path):
    (tmp_path / "config.yaml").write_text("max_epoch: 3\n")
    state = RunWatcher(tmp_path).state(NOW)
    assert state.condition == "waiting" and state.total is None and state.done == 0


def test_what_is_new_in_the_files_is_seen(tmp_path):
    watcher = write_run(tmp_path / "exp")
    assert watcher.state(NOW).done == 8
    write_run(tmp_path / "exp", epochs=3)
    assert watcher.state(NOW).done == 12


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (12000, "3 h 20 min"),
     (190000, "2 d 4 h")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert duration_words(seconds) == words
