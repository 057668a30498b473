"""utils/job.py on this machine: Kaldi's contract, and no stray process whatever happens."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tool_modules import load_tool

STUBBORN = """\
trap '' TERM
echo $$ >> pids
bash -c 'trap "" TERM; echo $$ >> pids; while :; do sleep 0.1; done' &
setsid bash -c 'trap "" TERM HUP; echo $$ >> pids; while :; do sleep 0.1; done' &
while :; do sleep 0.1; done
"""


def finish(process: subprocess.Popen, seconds: float = 120) -> tuple[int, str]:
    """Exit code and stderr."""
    _, err = process.communicate(timeout=seconds)
    return process.returncode, err


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not collected does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until(condition, seconds: float = 120) -> None:
    """Poll until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_job_stands_for_the_part_in_log_and_command(job, tmp_path: Path) -> None:
    code, err = finish(job("JOB=2:4", "log/a_JOB.log", "echo", "part.JOB", "JOBS", "$HOME", "a  b"))
    assert (code, err) == (0, "")
    assert sorted(os.listdir(tmp_path / "log")) == ["a_2.log", "a_3.log", "a_4.log"]
    first, middle, last = (tmp_path / "log/a_3.log").read_text().splitlines()
    assert re.fullmatch(r"# \S+, 20\S+ \S+, echo part.3 JOBS '\$HOME' 'a  b'", first)
    assert middle == "part.3 JOBS $HOME a  b"  # no shell has seen the words
    assert re.fullmatch(r"# Ended \(code 0\) at 20\S+ \S+, elapsed \d+ s", last)


def test_one_command_without_parts(job, tmp_path: Path) -> None:
    assert finish(job("--gpu", "1", "--mem", "4G", "--time", "1:00:00", "x.log", "true"))[0] == 0


def test_the_log_before_is_kept(job, tmp_path: Path) -> None:
    for word in ("old", "new"):
        assert finish(job("x.log", "echo", word))[0] == 0
    assert "\nnew\n" in (tmp_path / "x.log").read_text()
    assert "\nold\n" in (tmp_path / "x.log.1").read_text()


def test_a_failed_part_is_shown_with_its_last_lines(job, tmp_path: Path) -> None:
    script = "for i in {1..50}; do echo line $i of JOB; done; [ JOB != 2 ] || exit 7"
    code, err = finish(job("JOB=1:3", "log/x.JOB.log", "bash", "-c", script))
    assert code == 1
    assert "ERROR: part 2 of 3 failed with code 7. The end of log/x.2.log:" in err
    lines = [line for line in err.splitlines() if line.startswith("    ")]
    assert len(lines) == 20 and lines[-2] == "    line 50 of 2" and "code 7" in lines[-1]
    assert "of 1" not in err


def test_at_most_three_failures_are_shown(job) -> None:
    code, err = finish(job("JOB=1:5", "x.JOB.log", "false"))
    assert code == 1 and 1 <= err.count("failed with code 1") <= 3
    counted = re.search(r"ERROR: (\d) more parts failed", err)
    started = len([n for n in range(1, 6) if f"x.{n}.log" in err])
    assert started >= 1 and (counted is None or int(counted[1]) <= 2)


def test_after_a_failure_no_part_is_started_and_running_ones_end(job, tmp_path: Path) -> None:
    script = "[ JOB != 1 ] || exit 3; sleep 0.5; touch done.JOB"
    words = ("--max_jobs_run", "2", "JOB=1:6", "x.JOB.log", "bash", "-c", script)
    code, err = finish(job(*words))
    assert code == 1 and "4 of 6 parts were not started any more" in err
    assert (tmp_path / "done.2").exists() and not (tmp_path / "x.3.log").exists()


def test_no_more_than_max_jobs_run_at_once(job, tmp_path: Path) -> None:
    script = "mkdir run.JOB; ls -d run.* | wc -l >> counts; sleep 0.2; rmdir run.JOB"
    assert finish(job("--max_jobs_run", "2", "JOB=1:6", "x.JOB.log", "bash", "-c", script))[0] == 0
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert len(counts) == 6 and max(counts) == 2


def test_threads_are_those_granted(job, tmp_path: Path) -> None:
    script = "echo $OMP_NUM_THREADS $MKL_NUM_THREADS"
    assert finish(job("--num_threads", "3", "x.log", "bash", "-c", script))[0] == 0
    assert "\n3 3\n" in (tmp_path / "x.log").read_text()


def test_a_command_that_cannot_be_started_is_reported(job) -> None:
    code, err = finish(job("x.log", "no-such-program"))
    assert code == 1 and "no-such-program cannot be started: No such file" in err


def test_a_part_killed_by_a_signal_has_failed(job) -> None:
    code, err = finish(job("x.log", "bash", "-c", "kill -9 $$"))
    assert code == 1 and "killed from outside (code 137), often for lack of memory" in err
    assert "Give the same command again" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--num_thread", "2", "x.log", "true"],
            "unknown option --num_thread. Did you mean --num_th",
        ),
        (["--num_threads", "two", "x.log", "true"], "--num_threads takes an integer from 1"),
        (["--gpu", "-1", "x.log", "true"], "--gpu takes an integer from 0"),
        (["--backend", "sge", "x.log", "true"], "--backend takes local or slurm"),
        (["JOB=1:3", "x.log", "true"], "must contain JOB"),
        (["JOB=3:1", "x.JOB.log", "true"], "names no part"),
        (["x.log"], "LOG command"),
        (["--gpu"], "--gpu needs a value"),
    ],
)
def test_wrong_use_is_refused_in_one_line(job, tmp_path: Path, words: list, message: str) -> None:
    code, err = finish(job(*words))
    assert code == 2 and message in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_job_leaves_no_process(job, tmp_path: Path, number: int) -> None:
    process = job("--grace", "0.5", "JOB=1:2", "x.JOB.log", "bash", "-c", STUBBORN)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 6)
    process.send_signal(number)
    code, err = finish(process)
    assert code == -number  # to a shell this is 128 + number, and the shell stops too
    assert "Interrupted" in err
    assert not [pid for pid in map(int, pids.read_text().split()) if alive(pid)]
    assert f"# Ended (code {128 + signal.SIGTERM})" in (tmp_path / "x.1.log").read_text()


def test_a_part_that_saves_itself_when_stopped_makes_it_75(job, tmp_path: Path) -> None:
    program = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
    program += "open('on', 'w').close()\ntime.sleep(600)"
    process = job("--title", "training", "x.log", sys.executable, "-c", program)
    wait_until((tmp_path / "on").exists)
    process.send_signal(signal.SIGINT)
    code, err = finish(process)
    assert code == 75 and "training: stopped, and all of it is saved." in err
    code, err = finish(job("x.log", "bash", "-c", "exit 75"))  # stopped by someone else
    assert code == 75 and "was stopped and has saved all it did" in err and err.count("\n") == 1


def test_a_second_signal_does_not_wait_for_the_grace(job, tmp_path: Path) -> None:
    process = job("--grace", "60", "x.log", "bash", "-c", STUBBORN)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)  # a person; one Ctrl-C can reach a process twice
    process.send_signal(signal.SIGINT)
    assert finish(process, 10)[0] == -signal.SIGINT
    assert not [pid for pid in map(int, pids.read_text().split()) if alive(pid)]


def test_a_killed_runner_takes_its_parts_along(job, tmp_path: Path) -> None:
    process = job("--grace", "0.5", "JOB=1:2", "x.JOB.log", "bash", "-c", STUBBORN)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 6)
    process.kill()
    process.wait()
    wait_until(lambda: not any(alive(pid) for pid in map(int, pids.read_text().split())))


def test_what_a_part_leaves_running_ends_with_it(job, tmp_path: Path) -> None:
    script = "setsid sleep 600 & echo $! > pid; sleep 0.2"
    assert finish(job("x.log", "bash", "-c", script))[0] == 0
    assert not alive(int((tmp_path / "pid").read_text()))


def test_the_calling_script_stops_when_interrupted(utils: Path, tmp_path: Path) -> None:
    script = f"set -e\n{sys.executable} {utils}/job.py x.log sleep 600\ntouch went_on\n"
    process = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, start_new_session=True,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    wait_until((tmp_path / "x.log").exists)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) in (130, -signal.SIGINT)
    assert not (tmp_path / "went_on").exists()


REPORTING = """\
import os, sys, time
for done in range(0, 101, 20):
    with open(os.environ["ASR_DRO_PROGRESS_FILE"], "w") as stream:
        stream.write(f"{done} 100 loss 1.2")
    time.sleep(0.15)
"""


def on_a_terminal(utils: Path, folder: Path, *words: str) -> str:
    """What job.py writes to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, str(utils / "job.py"), *words])
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal with an error
        while more := os.read(terminal, 4096):
            shown += more
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown.decode()


def test_time_left_is_told_once_there_is_a_rate(monkeypatch) -> None:
    bar = load_tool("utils/jobs/bar")
    now = 0.0
    monkeypatch.setattr(bar.time, "monotonic", lambda: now)
    drawn, said = bar.Bar("stage 11 train"), []
    for now, done in ((40.0, 1), (70.0, 2), (72.0, 6), (90.0, 26)):  # noqa: B007  slow to start
        said.append(drawn.remaining(done, 1000))
    assert said == ["0:40 gone", "1:10 gone", "1:46:01 left", "32:28 left"]
    assert drawn.remaining(1000, 1000) == "1:30 gone"


def test_one_bar_sums_the_parts_and_leaves_no_file(utils: Path, tmp_path: Path) -> None:
    words = ("--title", "stage 3 dump", "JOB=1:2", "x.JOB.log", sys.executable, "-c", REPORTING)
    shown = on_a_terminal(utils, tmp_path, *words)
    bars = shown.replace("\n", "").split("\r")
    assert all(line.startswith("stage 3 dump  [") for line in bars if line.strip())
    assert any(re.search(r"\[#+\.+\]  \d+/~?200  \d+ %  \d+:\d\d (gone|left)", line)
               for line in bars)  # fmt: skip
    assert "200/200  100 %" in shown
    assert sorted(os.listdir(tmp_path)) == ["x.1.log", "x.2.log"]


def test_a_single_part_shows_its_note(utils: Path, tmp_path: Path) -> None:
    words = ("--title", "train", "x.log", sys.executable, "-c", REPORTING)
    assert "loss 1.2" in on_a_terminal(utils, tmp_path, *words)


def test_parts_that_report_nothing_are_counted(utils: Path, tmp_path: Path) -> None:
    words = ("--max_jobs_run", "1", "JOB=1:3", "dump.JOB.log", "sleep", "0.3")
    assert "3/3  100 %" in on_a_terminal(utils, tmp_path, *words)


def test_without_a_terminal_a_short_job_says_nothing(job) -> None:
    assert finish(job("x.log", sys.executable, "-c", REPORTING)) == (0, "")


def test_the_oldest_python_promised_runs_it(utils: Path, tmp_path: Path) -> None:
    old = next(Path.home().glob(".pyenv/versions/3.9*/bin/python"), None)
    if old is None:
        pytest.skip("no Python 3.9 here")
    command = [old, utils / "job.py", "JOB=1:2", "x.JOB.log", "echo", "JOB"]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
    command = [old, utils / "stage.py", "check", "mark", "--input", "x.1.log"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).stdout == b"never finished\n"


TELLING = [("75 75", 75), ("74 74", 74), ("75 1", 1), ("3 3", 1)]


@pytest.mark.parametrize(("codes", "expected"), TELLING)
def test_a_code_that_tells_what_to_do_comes_through(job, codes: str, expected: int) -> None:
    words = ["--max_jobs_run", "2", "JOB=1:2", "x.JOB.log", "bash", "-c"]
    one, two = codes.split()
    script = f"sleep 0.3; test JOB = 1 && exit {one}; exit {two}"
    assert finish(job(*words, script))[0] == expected


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_users_signal_reaches_the_command_and_ends_nothing_else(
    job, tmp_path: Path, number: int
) -> None:
    loop = "until [ -e got ]; do sleep 0.05; done; exit 0"
    script = f"trap 'touch got' {int(number)}; touch ready; {loop}"
    process = job("x.log", "bash", "-c", script)
    wait_until(lambda: (tmp_path / "ready").exists())
    process.send_signal(number)
    code, err = finish(process)
    assert (tmp_path / "got").exists()
    assert "Interrupted" not in err
    assert code == 0
