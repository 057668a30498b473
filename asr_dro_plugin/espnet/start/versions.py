"""``versions.json``: with which programs an experiment was trained, from its first start on.

    [{"asr-dro": "0.4.0", "git": "504f6ab...", "torch": "2.13.0", ..., "cpu": "AMD EPYC 7R13",
      "threads": "1", "from_update": 0}]

Another entry follows where a later start differs in any of them.
"""

import json
import logging
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

import asr_dro_plugin
from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.experiment import VERSIONS

# Name of the distribution and of the module; of the last ones only what has been imported.
ALWAYS = (("espnet", "espnet2"), ("torch", "torch"), ("numpy", "numpy"))
IMPORTED = (
    ("espnet-s3prl", "s3prl"), ("s3prl", "s3prl"), ("fairseq-fixed", "fairseq"),
    ("fairseq", "fairseq"), ("transformers", "transformers"),
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of this process, and on what it computes (``cpu`` and perhaps ``gpu``, ``threads``).

    ``git`` is the commit of a checkout, with ``+`` where changed.
    """
    names = [*ALWAYS, *(pair for pair in IMPORTED if pair[1] in sys.modules)]
    found = {"asr-dro": asr_dro_plugin.__version__, "python": platform.python_version()}
    for name, _ in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = git_commit(Path(asr_dro_plugin.__file__).parent)
    return found | ({"git": commit} if commit else {}) | machine()


def machine() -> dict[str, str]:
    """What computes: sums are in another order on another processor and with other threads."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = {"cpu": next(iter(names), platform.machine()), "threads": str(torch.get_num_threads())}
    return found | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_initialized() else {})


def git_commit(folder: Path) -> str | None:
    """The commit that a folder is checked out at; None where git does not follow its files."""
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    is_followed = _git(folder, "ls-files", "--error-unmatch", "__init__.py") is not None
    commit = _git(folder, "rev-parse", "HEAD") if is_followed else None
    return f"{commit}+" if commit and changes else commit


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def record_versions(exp: Path, update: int) -> None:
    """Add this start to ``versions.json`` if it is the first, or differs from the one before.

    A training is not stopped over it: what fails is one warning.
    """
    path = exp / VERSIONS
    try:
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        now = versions()
        before = {k: v for k, v in entries[-1].items() if k != "from_update"} if entries else {}
        if before == now:
            return
        if before.get("threads") and before["threads"] != now.get("threads"):
            logging.warning(
                "This training goes on with %s threads after %s: the weights will not be those of "
                "a run that was never stopped. --num_threads %s keeps them.",
                now.get("threads"), before["threads"], before["threads"],
            )  # fmt: skip
        with atomic_write(path) as stream:
            json.dump([*entries, {**now, "from_update": update}], stream, indent=1)
            stream.write("\n")
    except (OSError, ValueError) as error:
        logging.warning("%s is not written: %s", path, error)
