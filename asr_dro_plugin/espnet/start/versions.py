"""``versions.json``: with which programs an experiment was trained, from its first start on.

    [{"asr-dro": "0.4.0", "git": "504f6ab...", "torch": "2.13.0", ..., "cpu": "AMD EPYC 7R13",
      "threads": "1", "from_update": 0, "wall_seconds": 812, "peak_memory_gib": 0.92}]

Another entry follows where a later start differs in any of them; where none does, the seconds are
those of all starts together.
"""

import contextlib
import json
import logging
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

import asr_dro_plugin
from asr_dro_plugin.base.files import write_json
from asr_dro_plugin.base.phase_timer import START
from asr_dro_plugin.experiment import VERSIONS

GIB = 2**30
# Of an entry, what is known only later than its start.
LATER = ("from_update", "wall_seconds", "peak_memory_gib", "peak_gpu_memory_gib")
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


class Costs:
    """What a training cost so far: seconds since its processes began, and memory at its highest.

    Kept in the last entry of ``versions.json``; what was there of an earlier start is counted in.
    """

    def __init__(self, exp: Path) -> None:
        self.path = exp / VERSIONS
        self._earlier: dict = {}
        with contextlib.suppress(OSError, ValueError, LookupError):
            self._earlier = json.loads(self.path.read_text(encoding="utf-8"))[-1]

    def record(self) -> None:
        """Write them; what fails is a warning, for a training is not stopped over it."""
        costs = {"wall_seconds": START.seconds, **peak_memory()}
        costs["wall_seconds"] += float(self._earlier.get("wall_seconds", 0))
        for name in costs.keys() - {"wall_seconds"}:
            costs[name] = max(costs[name], float(self._earlier.get(name, 0)))
        try:
            *before, last = json.loads(self.path.read_text(encoding="utf-8"))
            rounded = {name: float(f"{value:.4g}") for name, value in costs.items()}
            write_json(self.path, [*before, {**last, **rounded}])
        except (OSError, ValueError) as error:
            logging.warning("%s is not written: %s", self.path, error)


def peak_memory() -> dict[str, float]:
    """GiB that this process had in memory at most, and on the GPU where there is one."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    found = {"peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB}
    if torch.cuda.is_initialized():
        found["peak_gpu_memory_gib"] = torch.cuda.max_memory_allocated() / GIB
    return found


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
        before = {k: v for k, v in entries[-1].items() if k not in LATER} if entries else {}
        if before == now:
            return
        if before.get("threads") and before["threads"] != now.get("threads"):
            logging.warning(
                "This training goes on with %s threads after %s: the weights will not be those of "
                "a run that was never stopped. --num_threads %s keeps them.",
                now.get("threads"), before["threads"], before["threads"],
            )  # fmt: skip
        write_json(path, [*entries, {**now, "from_update": update}])
    except (OSError, ValueError) as error:
        logging.warning("%s is not written: %s", path, error)
