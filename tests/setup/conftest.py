"""A small copy of the set-up files, in which an installation takes seconds and breaks nothing."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[2]
# What install.sh uses beside bash itself; a PATH of these alone holds no Python.
PROGRAMS = """
bash cat cut dirname env find flock grep kill ls mkdir mv paste realpath rm sed sleep sort tail
timeout touch tr uname wc
"""


def base_python() -> str:
    """The interpreter under the environment's own, as a user would have it on PATH."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture
def bare_path(tmp_path):
    """A PATH folder with the programs of any machine, but no Python, no uv and no nvidia-smi."""
    folder = tmp_path / "bare bin"
    folder.mkdir()
    for name in PROGRAMS.split():
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def environment(bare_path, tmp_path):
    """Variables for a child process on a machine where nothing is prepared."""
    return {"PATH": str(bare_path), "HOME": str(tmp_path / "home")}


@pytest.fixture
def checkout(tmp_path):
    """A folder with the set-up files of this checkout; a space in its name, for good measure."""
    copy = tmp_path / "a checkout"
    for name in ("install.sh", "venv_state.py", "constraints.txt", "check_install.py"):
        (copy / "tools").mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / "tools" / name, copy / "tools" / name)
    shutil.copy2(ROOT / "setup.py", copy / "setup.py")
    return copy


@pytest.fixture
def bash(checkout, environment):
    """``bash(script)`` runs it with install.sh's functions defined; the finished process."""

    def call(script, **extra):
        return subprocess.run(
            ["bash", "-c", f". tools/install.sh\n{script}"],
            cwd=checkout,
            env=environment | extra,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return call


@pytest.fixture
def setup_arguments(monkeypatch):
    """What setup.py passes to setuptools."""
    arguments = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, "setup", lambda **given: arguments.update(given))
    runpy.run_path(str(ROOT / "setup.py"))
    return arguments


@pytest.fixture
def python_program():
    return base_python()
