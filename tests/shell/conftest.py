"""What the shell tests share: the library's folder, job.py as a process, a real Slurm."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.shell.one_machine_slurm import OneMachineSlurm, why_not

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


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneMachineSlurm]:
    """Two nodes on this machine; skips with the reason where they cannot be."""
    if reason := why_not():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("slurm")
    directory.parent.chmod(0o755)  # munged runs as another user
    directory.parent.parent.chmod(0o755)
    with OneMachineSlurm(directory) as cluster:
        yield cluster
