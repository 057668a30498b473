"""Kills at random moments, real ones: a small sample of ``make bench``'s."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.espnet import runs

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def straight(task, dump, tmp_path_factory):
    exp = tmp_path_factory.mktemp("survival") / "straight"
    task.main(cmd=runs.command(dump, exp, use_matplotlib=False))
    return exp


WAYS = {
    "kill": ["--kills", "4", "--longest", "1.0"],
    "in_writer": ["--kills", "4", "--in_writer"],
    "term": ["--kills", "2", "--signal", "TERM", "--longest", "0.6"],
}


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_a_run_that_is_killed_again_and_again_ends_bit_for_bit_the_same(straight, dump, how):
    exp = straight.parent / "".join(how)
    done = subprocess.run(
        [sys.executable, "-m", "tests.espnet.survivor", dump, exp, *how],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout.split()[1]) >= 1  # a quick machine may end before the last one
    assert runs.same_files(straight, exp) == []
