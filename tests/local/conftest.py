"""A recipe folder with the real scripts, in which stage 1 runs on small corpora."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Prepare = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def prepare(tmp_path) -> Prepare:
    """``prepare("--corpus", "tsv", ...)`` runs local/data.sh in ``prepare.folder``."""
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "utils").symlink_to(ROOT / "tools" / "utils")
    (folder / "local").symlink_to(ROOT / "local")
    (folder / "db.sh").symlink_to(ROOT / "egs2" / "asr_dro" / "asr1" / "db.sh")
    # the real path.sh would install the environment that the tests run in
    (folder / "path.sh").write_text(
        f"export PATH={Path(sys.executable).parent}:${{PATH}}\nexport PYTHONPATH={ROOT}\n"
    )

    def run(*options: str, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["local/data.sh", *map(str, options)], cwd=folder, capture_output=True, text=True,
            env={**os.environ, **env}, check=False,
        )  # fmt: skip

    run.folder = folder
    return run


def refusal(done: subprocess.CompletedProcess) -> str:
    """The one line with which a command refused; anything else fails the test."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert done.returncode != 0, done.stdout
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
