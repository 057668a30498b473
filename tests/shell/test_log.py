"""utils/log.sh, cmd.sh and the cleanliness of every script."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs2/asr_dro/asr1"


def bash(script: str, **env: str) -> subprocess.CompletedProcess:
    """Run some lines of bash as the recipe's scripts do."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, **env},
    )  # fmt: skip


def test_die_prints_one_line_and_ends_the_script(utils: Path) -> None:
    done = bash(f". {utils}/log.sh; die 'data is gone. Run stage 1.'; echo on")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ERROR: data is gone. Run stage 1.\n"


def test_log_names_the_script_and_its_line(utils: Path, tmp_path: Path) -> None:
    (tmp_path / "s.sh").write_text(f". {utils}/log.sh\nlog Stage 1: here '->' there\nwarn odd\n")
    done = subprocess.run(["bash", tmp_path / "s.sh"], capture_output=True, text=True)
    assert done.stdout.endswith(" (s.sh:2) Stage 1: here -> there\n")
    assert done.stderr.endswith(" (s.sh:3) WARNING: odd\n")


def test_required_files_must_be_there_and_hold_something(utils: Path, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("x")
    (tmp_path / "empty").write_text("")
    for name, code in (("full", 0), ("empty", 1), ("absent", 1)):
        script = f". {utils}/log.sh; require_files 'Run stage 1.' {tmp_path}/full {tmp_path}/{name}"
        done = bash(script)
        assert done.returncode == code
        assert (f"{name} is missing or empty. Run stage 1." in done.stderr) == bool(code)


@pytest.mark.parametrize("backend", ["local", "slurm"])
def test_one_word_chooses_the_backend_of_all_commands(backend: str) -> None:
    script = f'. {RECIPE}/cmd.sh; printf \'%s\\n\' "$train_cmd" "$cuda_cmd" "$decode_cmd"'
    lines = bash(script, CMD_BACKEND=backend).stdout.splitlines()
    assert len(lines) == 3 and all(
        line.startswith(f"utils/job.py --backend {backend}") for line in lines
    )


def test_an_unknown_backend_is_refused() -> None:
    done = bash(f". {RECIPE}/cmd.sh; echo on", CMD_BACKEND="sge")
    assert done.returncode == 2 and "local or slurm" in done.stderr and done.stdout == ""


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_shell_library_is_clean_to_shellcheck(utils: Path) -> None:
    own = ("parse_options.sh", "log.sh", "stages.sh", "validate_data_dir.sh", "fix_data_dir.sh")
    files = [utils / name for name in own] + [RECIPE / "cmd.sh", RECIPE / "db.sh"]
    done = subprocess.run(["shellcheck", "-x", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
