"""utils/job.py on a real Slurm that the test starts: two nodes on this machine."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def submit(job, slurm, tmp_path: Path):
    """Start job.py with the shipped site defaults, asking more often than a site should."""
    conf = (ROOT / "conf/slurm.conf").read_text().replace("poll 3", "poll 0.3")
    (tmp_path / "slurm.conf").write_text(conf.replace("grace 15", "grace 1"))

    def start(*words: str) -> subprocess.Popen:
        options = ("--backend", "slurm", "--conf", "slurm.conf")
        return job(*options, *words, PATH=slurm.env["PATH"], SLURM_CONF=slurm.env["SLURM_CONF"])

    return start


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """Exit code and stderr."""
    _, err = process.communicate(timeout=240)
    return process.returncode, err


def wait_until(condition, seconds: float = 120) -> None:
    """Poll until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def running_job(slurm) -> str:
    """Id of the one job in the queue."""
    return slurm.call("squeue", "-h", "-o", "%A").split()[0]


def test_an_array_of_three_passes(submit, tmp_path: Path) -> None:
    script = "echo part JOB on $SLURMD_NODENAME; echo env $CARRIED; pwd"
    os.environ["CARRIED"] = "over"
    try:
        process = submit("JOB=1:3", "log/x.JOB.log", "bash", "-c", script)
    finally:
        del os.environ["CARRIED"]
    code, err = finish(process)
    assert (code, err) == (0, "")
    for part in (1, 2, 3):
        log = (tmp_path / f"log/x.{part}.log").read_text()
        assert f"part {part} on n" in log and "env over" in log and f"\n{tmp_path}\n" in log
        assert "# Ended (code 0)" in log
    assert sorted(os.listdir(tmp_path / "log")) == ["x.1.log", "x.2.log", "x.3.log"]


def test_a_failing_part_gives_its_last_lines_and_a_failure(submit, tmp_path: Path) -> None:
    script = "echo this is part JOB; [ JOB != 2 ] || exit 7"
    code, err = finish(submit("JOB=1:3", "log/x.JOB.log", "bash", "-c", script))
    assert code == 1
    assert "ERROR: part 2 of 3 failed with code 7. The end of log/x.2.log:" in err
    assert "this is part 2" in err and "this is part 1" not in err


def test_after_a_failure_waiting_parts_are_taken_back(submit, slurm, tmp_path: Path) -> None:
    words = ("--max_jobs_run", "1", "JOB=1:4", "x.JOB.log", "bash", "-c", "sleep 0.5; exit 3")
    code, err = finish(submit(*words))
    assert code == 1 and "of 4 parts were not started any more" in err
    assert not (tmp_path / "x.4.log").exists()
    wait_until(lambda: not slurm.call("squeue", "-h").strip(), 10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_leaves_nothing_in_the_queue(submit, slurm, tmp_path, number) -> None:
    process = submit("JOB=1:6", "x.JOB.log", "sleep", "600")
    wait_until((tmp_path / "x.1.log").exists)
    process.send_signal(number)
    code, _ = finish(process)
    assert code == -number
    assert slurm.call("squeue", "-h").strip() == ""
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".slurm-")]


def test_gpu_memory_threads_and_time_reach_the_job(submit, slurm, tmp_path: Path) -> None:
    options = ("--gpu", "2", "--mem", "500M", "--num_threads", "2", "--time", "0:10:00")
    script = (
        "echo gpus $CUDA_VISIBLE_DEVICES cpus $SLURM_CPUS_PER_TASK threads $OMP_NUM_THREADS;"
        "scontrol show job $SLURM_JOB_ID"
    )
    code, err = finish(submit(*options, "train.log", "bash", "-c", script))
    assert code == 0, err
    log = (tmp_path / "train.log").read_text()
    assert "gpus 0,1 cpus 2 threads 2" in log
    assert "TimeLimit=00:10:00" in log and "MinMemoryNode=500M" in log


def test_a_job_cancelled_from_outside_is_noticed(submit, slurm, tmp_path: Path) -> None:
    process = submit("x.log", "sleep", "600")
    wait_until((tmp_path / "x.log").exists)
    slurm.call("scancel", running_job(slurm))
    code, err = finish(process)
    assert code == 1 and "cancelled" in err and "x.log" in err


def test_a_job_cancelled_while_it_waits_is_noticed(submit, slurm, tmp_path: Path) -> None:
    blocker = submit("JOB=1:4", "block.JOB.log", "sleep", "600")
    wait_until((tmp_path / "block.4.log").exists)
    process = submit("x.log", "true")
    find = ("squeue", "-h", "-n", "x.log", "-o", "%A")
    wait_until(lambda: slurm.call(*find).strip())
    slurm.call("scancel", slurm.call(*find).strip())
    code, err = finish(process)
    assert code == 1 and "cancelled" in err
    blocker.send_signal(signal.SIGTERM)
    finish(blocker)


def test_a_part_killed_with_its_watcher_is_noticed(submit, slurm, tmp_path: Path) -> None:
    process = submit("x.log", "bash", "-c", "kill -9 $PPID; sleep 600")
    code, err = finish(process)
    assert code == 1 and "ERROR: the command failed" in err


def test_a_job_that_slurm_runs_again_is_waited_for(submit, slurm, tmp_path: Path) -> None:
    script = "echo run >> runs; [ $(wc -l < runs) = 2 ] || sleep 600"
    process = submit("x.log", "bash", "-c", script)
    wait_until((tmp_path / "runs").exists)
    job_id = running_job(slurm)
    slurm.call("scontrol", "requeue", job_id)
    wait_until(lambda: "PENDING" in slurm.call("squeue", "-h", "-j", job_id, "-o", "%T"))
    time.sleep(3)  # slurmd clears the first run away, and a second at that moment loses its script
    slurm.call("scontrol", "update", f"JobId={job_id}", "StartTime=now")  # not in two minutes
    assert finish(process) == (0, "")
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_a_refused_submission_says_why(submit, tmp_path: Path) -> None:
    code, err = finish(submit("--partition", "nowhere", "x.log", "true"))
    assert code == 2 and "sbatch refused" in err and "partition" in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == ["slurm.conf"]


def test_an_option_without_a_line_in_the_site_file_is_refused(submit) -> None:
    code, err = finish(submit("--colour", "red", "x.log", "true"))
    assert code == 2 and "has no line for --colour red" in err
