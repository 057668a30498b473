"""check_install.py tells what works, what is missing and what is broken, and how to mend it."""

import subprocess
import sys

import pytest


@pytest.fixture
def table(root):
    """``table(folder)`` runs the quick check with ``folder`` first on the module path."""

    def call(folder=None):
        command = [sys.executable, str(root / "tools/check_install.py"), "--quick"]
        variables = {"PYTHONPATH": str(folder)} if folder else {}
        done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=300)
        rows = (line.split(None, 3) for line in done.stdout.splitlines())
        return done.returncode, {row[0]: row[1:] for row in rows if len(row) > 2}

    return call


def fake(folder, module, text):
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(text)


def test_a_whole_environment_has_no_fault(table):
    code, rows = table()
    assert code == 0, rows
    assert rows["omegaconf"][:2] == ["2.3.0", "works"] and "FLAC: yes" in rows["soundfile"][2]
    assert "CUDA" in rows["torch"][2]


def test_broken_packages_are_named_with_a_remedy_and_the_others_are_still_tried(table, tmp_path):
    fake(tmp_path, "soxr", "raise ImportError('libsoxr.so.0: not found')")
    fake(tmp_path, "kaldiio", "import os; os.kill(os.getpid(), 11)")  # ends the process
    fake(tmp_path, "omegaconf", "__version__ = '2.2.0'")
    code, rows = table(tmp_path)
    assert code == 1
    assert rows["soxr"][1] == "broken" and "libsoxr.so.0" in rows["soxr"][2]
    assert "pip install --force-reinstall --no-deps soxr==" in rows["soxr"][2]
    assert rows["kaldiio"][1] == "broken" and "-11" in rows["kaldiio"][2]
    assert rows["omegaconf"][1] == "broken" and "2.3.0" in rows["omegaconf"][2]
    assert rows["av"][1] == rows["torch"][1] == "works"
