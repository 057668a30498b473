"""What the shell tests share: the library's folder, job.py as a process, a real Slurm."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.shell.one_machine_slurm import (
    OneMachineSlurm,
    one_at_a_time,
    reachable_directory,
    why_not,
)

ROOT = Path(__file__).resolve().parents[2]
LINK = ROOT / "egs2/asr_dro/asr1/utils"


@pytest.fixture(scope="session")
def utils() -> Path:
    """The shell library as the recipe sees it."""
    return LINK if LINK.exists() else ROOT / "tools/utils"


@pytest.fixture
def job(utils: Path, tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Start job.py in the test's folder, its output captured."""

    def start(*words: str, **env: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(utils / "job.py"), *words], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env},
        )  # fmt: skip

    return start


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneMachineSlurm]:
    """Two nodes on this machine; skips with the reason where they cannot be.

    For one file of tests: the workers of ``pytest -n`` take turns, and one that waited for the end
    of another's whole session would wait too long.
    """
    if reason := why_not():
        pytest.skip(reason)
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (
        one_at_a_time(shared / "slurm.lock"),
        reachable_directory() as directory,
        OneMachineSlurm(directory) as cluster,
    ):
        yield cluster
