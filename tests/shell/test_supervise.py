"""utils/supervise.py: a stop reaches what the script runs, and the code tells what was saved."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAVES = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
SAVES += "open('ready', 'w').close()\ntime.sleep(600)\n"


@pytest.fixture
def start(utils: Path, tmp_path: Path):
    """A script under supervise.py that has begun its job, in a session of its own."""

    def begin(script: str, until: str) -> subprocess.Popen:
        (tmp_path / "script.sh").write_text(script)
        (tmp_path / "saves.py").write_text(SAVES)
        process = subprocess.Popen(
            [sys.executable, str(utils / "supervise.py"), "bash", "script.sh"], cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 240
        while not (tmp_path / until).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        return process

    return begin


@pytest.fixture
def inner_job(utils: Path) -> str:
    """A script that waits for a script that waits for a job that saves itself."""
    job = f"{sys.executable} {utils}/job.py --title training x.log {sys.executable} saves.py"
    return f"set -e\nbash -c 'set -e; {job}; :'\ntouch went_on\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["process", "group"])
def test_what_was_stopped_saves_itself_and_the_script_ends_with_75(
    start, inner_job, tmp_path, number, whom
):
    process = start(inner_job, "ready")
    if whom == "process":  # kill PID
        process.send_signal(number)
    else:  # a cluster's scancel, a shell's Ctrl-C
        subprocess.run(["kill", f"-{int(number)}", "--", f"-{process.pid}"], check=True)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 75, out
    assert "training: stopped, and all of it is saved." in out
    assert not (tmp_path / "went_on").exists()


def test_a_job_that_saves_nothing_ends_with_the_signals_code(start, utils, tmp_path):
    process = start(f"{sys.executable} {utils}/job.py x.log sleep 600\n", "x.log")
    process.terminate()
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 128 + signal.SIGTERM and "Interrupted" in out


@pytest.mark.parametrize("code", [0, 3, 75])
def test_a_script_that_is_left_alone_keeps_its_code_and_what_it_started(start, tmp_path, code):
    process = start(f"sleep 60 >/dev/null 2>&1 & touch on; exit {code}", "on")
    assert process.wait(45) == code
