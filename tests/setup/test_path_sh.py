"""path.sh makes the environment this shell's, under `set -euo pipefail`, twice as once."""

import os
import shutil
import subprocess
import sys

import pytest

SHOW = """
set -euo pipefail
. ./path.sh
. ./path.sh
command -v python
python -c 'import asr_dro_plugin; print(asr_dro_plugin.__file__)'
echo "$LC_ALL $OMP_NUM_THREADS $PYTHONUNBUFFERED"
echo "$PATH" | tr : '\\n' | grep -c tools/venv/bin
"""


def source(recipe, **variables):
    return subprocess.run(
        ["bash", "-c", SHOW],
        cwd=recipe,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"} | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def recipe(root, tmp_path):
    """A checkout whose environment is a link to the one that runs this test."""
    copy = tmp_path / "check out"
    (copy / "egs2/asr_dro/asr1").mkdir(parents=True)
    shutil.copy2(root / "egs2/asr_dro/asr1/path.sh", copy / "egs2/asr_dro/asr1")
    (copy / "asr_dro_plugin").symlink_to(root / "asr_dro_plugin")
    (copy / "tools/venv/bin").mkdir(parents=True)
    (copy / "tools/venv/bin/python").symlink_to(sys.executable)
    (copy / "tools/venv/.asr_dro_installed.json").write_text("{}")
    return copy / "egs2/asr_dro/asr1"


@pytest.mark.skipif(
    not os.path.exists(os.path.join(sys.prefix, ".asr_dro_installed.json")),
    reason="the tests do not run in tools/venv as tools/install.sh makes it",
)
def test_the_recipe_directory_gets_the_environment(root):
    done = source(root / "egs2/asr_dro/asr1", OMP_NUM_THREADS="3")
    assert done.returncode == 0, done.stderr
    program, module, settings, count = done.stdout.splitlines()
    assert program == str(root / "tools/venv/bin/python")
    assert module == str(root / "asr_dro_plugin/__init__.py")
    assert (settings, count) == ("C.UTF-8 3 1", "1")


def test_a_package_that_is_not_installed_from_here_comes_from_the_checkout(recipe):
    done = source(recipe)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == str(recipe.parents[2] / "asr_dro_plugin/__init__.py")
    assert done.stdout.splitlines()[2] == "C.UTF-8 1 1"
    granted = source(recipe, SLURM_CPUS_PER_TASK="4")
    assert granted.stdout.splitlines()[2] == "C.UTF-8 4 1"


def test_without_an_environment_it_is_installed_first_and_a_failure_stops_the_script(recipe):
    root = recipe.parents[2]
    (root / "tools/venv/.asr_dro_installed.json").unlink()
    install = root / "tools/install.sh"
    mark = '"${0%/*}/venv/.asr_dro_installed.json"'
    install.write_text(f"#!/bin/bash\necho installing >&2; touch {mark}\n")
    install.chmod(0o755)
    done = source(recipe)
    assert done.returncode == 0 and done.stderr.count("installing") == 1
    (root / "tools/venv/.asr_dro_installed.json").unlink()
    install.write_text("#!/bin/bash\necho 'ERROR: no Python' >&2; exit 1\n")
    done = source(recipe)
    assert done.returncode != 0 and done.stdout == "" and "no Python" in done.stderr
