"""Nothing is left in the temporary folder, neither by an end in order nor by a kill."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from asr_dro_plugin.base.private_folder import LOCK, PrivateFolder

ROOT = Path(__file__).resolve().parents[2]
HOLDING = """
import sys
from asr_dro_plugin.base.private_folder import PrivateFolder
print(PrivateFolder().path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_one_that_is_held_stays_and_one_of_a_killed_process_goes_with_the_next(temporary):
    other = subprocess.Popen([sys.executable, "-c", HOLDING], cwd=ROOT, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    theirs = Path(other.stdout.readline().strip())
    ours = PrivateFolder()
    assert theirs.is_dir() and ours.path.stat().st_mode & 0o077 == 0
    other.kill()
    other.communicate()
    again = PrivateFolder()
    assert not theirs.exists() and ours.path.is_dir()
    ours.remove()
    again.remove()
    assert list(temporary.iterdir()) == []


def test_what_is_not_ours_stays(temporary):
    (temporary / "asr_dro_notes").mkdir()
    (temporary / "asr_dro_link").mkdir()
    (temporary / "asr_dro_link" / LOCK).symlink_to(temporary / "asr_dro_notes")
    PrivateFolder().remove()
    assert len(list(temporary.iterdir())) == 2
