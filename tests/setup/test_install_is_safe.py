"""install.sh may be run twice, at once, be interrupted, and do without fairseq.

The environment is a real one (python -m venv) and so is every program, except that `pip install`
is replaced by a function that only notes what it was asked for, and lays asr-dro's metadata.
"""

import fcntl
import json
import os
import signal
import subprocess
import time

import pytest

# What stands for pip: notes its arguments, and "installs" the checkout.
FAKE = """
pip_install() {
    echo "$*" >>"$root/asked"
    case "$*" in
        *fairseq-fixed*) [ -z "${NO_FAIRSEQ:-}" ] ;;
        *kenlm==*) [ -z "${NO_LM:-}" ] ;;
        *setuptools==*) [ -z "${HANG:-}" ] || sleep 300 ;;
        *"-e "*)
            local site
            site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
            mkdir -p "$site/asr_dro-0.1.0.dist-info"
            printf 'Name: asr-dro\\nVersion: 0.1.0\\n' >"$site/asr_dro-0.1.0.dist-info/METADATA"
            printf '{"url": "file://%s"}' "${root// /%20}" \
                >"$site/asr_dro-0.1.0.dist-info/direct_url.json"
            : >"$site/asr_dro-0.1.0.dist-info/RECORD"
            ;;
    esac
}
cpu_index_answers() { false; }
main "$@"
"""


@pytest.fixture
def start(checkout, environment, python_program):
    """``start(*options, **variables)`` begins an installation; returns the running process."""
    (checkout / "tools/check_install.py").write_text("print('tried')\n")

    def begin(*options, **variables):
        script = f". tools/install.sh\n{FAKE}"
        return subprocess.Popen(
            ["bash", "-c", script, "install.sh", *options],
            cwd=checkout,
            env=environment | {"PYTHON": python_program} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return begin


def finish(process):
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    return out.strip().splitlines()


def asked(checkout):
    path = checkout / "asked"
    return path.read_text().splitlines() if path.exists() else []


def mark(checkout):
    return checkout / "tools/venv/.asr_dro_installed.json"


def lockable(stream):
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never came about")


def test_the_second_run_does_nothing_until_something_changes(start, checkout):
    assert finish(start())[-1].startswith("install.sh: ready:")
    first = asked(checkout)
    assert "espnet[asr]==" in first[0] and "espnet-s3prl==" in first[0] and "pytest" in first[0]
    assert len(finish(start())) == 1 and asked(checkout) == first
    assert "kenlm==" in first[-1]
    finish(start("--extras", "docs"))
    assert "pdoc==" in asked(checkout)[len(first)]
    (checkout / "setup.py").write_text((checkout / "setup.py").read_text() + "# changed\n")
    assert "changed" in finish(start())[0]
    assert "pdoc==" in asked(checkout)[-4]  # what was added before is kept
    os.rename(checkout / "tools/venv", checkout / "moved")  # its programs name the old folder
    out = finish(start("--venv", "moved"))
    assert "moved from another folder" in out[0] and "finishing" not in out[1]


def test_where_fairseq_cannot_be_had_the_rest_installs_and_the_last_line_says_so(start, checkout):
    last = finish(start(NO_FAIRSEQ="1"))[-1]
    assert "fairseq is missing" in last and "conf/train_asr_wav2vec2.yaml" in last
    assert json.loads(mark(checkout).read_text())["missing"] == "fairseq"
    count = len(asked(checkout))
    assert finish(start())[-1] == last and len(asked(checkout)) == count  # not tried every time
    assert "missing" not in finish(start("--extras", "fairseq"))[-1]


def test_two_that_cannot_be_had_are_both_named_and_one_can_be_tried_again_alone(start, checkout):
    said = finish(start(NO_FAIRSEQ="1", NO_LM="1"))
    assert "fairseq is missing" in said[-2] and "lm is missing" in said[-1]
    assert json.loads(mark(checkout).read_text())["missing"] == "fairseq lm"
    again = finish(start("--extras", "lm", NO_FAIRSEQ="1"))
    assert "fairseq is missing" in again[-1] and "lm is missing" not in " ".join(again)


def test_an_interrupted_run_leaves_no_mark_and_no_process_and_is_finished_by_the_next(
    start, checkout
):
    process = start(HANG="1")
    wait_for(lambda: len(asked(checkout)) == 1)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "interrupted; run tools/install.sh again" in out
    assert not mark(checkout).exists()
    with open(checkout / "tools/.install/lock") as lock:  # nobody holds it: all have ended
        wait_for(lambda: lockable(lock))
    assert "finishing the environment that is there" in "\n".join(finish(start()))
    assert mark(checkout).exists()


def test_two_at_once_wait_for_each_other_and_half_an_environment_is_made_anew(start, checkout):
    (checkout / "tools/venv/bin").mkdir(parents=True)  # what a kill at a bad moment left
    (checkout / "tools/venv/.unfinished").touch()
    (checkout / "tools/venv/bin/python").write_text("half a file")
    (checkout / "tools/.install").mkdir()
    with open(checkout / "tools/.install/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start()
        assert "another install.sh is at work here" in process.stdout.readline()
        assert process.poll() is None and not asked(checkout)
    finish(process)
    assert mark(checkout).exists() and not (checkout / "tools/venv/.unfinished").exists()
