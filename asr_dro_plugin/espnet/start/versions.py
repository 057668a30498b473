"""``versions.json``: with which programs an experiment was trained, from its first start on.

    [{"asr-dro": "0.4.0", "git": "504f6ab...", "torch": "2.13.0", ..., "from_update": 0}]

Another entry follows where a later start differs in any of them.
"""

import json
import logging
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

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
    """Versions of this process; ``git`` is the commit of a checkout, with ``+`` where changed."""
    names = [*ALWAYS, *(pair for pair in IMPORTED if pair[1] in sys.modules)]
    found = {"asr-dro": asr_dro_plugin.__version__, "python": platform.python_version()}
    for name, _ in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = git_commit(Path(asr_dro_plugin.__file__).parent)
    return found | ({"git": commit} if commit else {})


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
        if entries and {k: v for k, v in entries[-1].items() if k != "from_update"} == now:
            return
        with atomic_write(path) as stream:
            json.dump([*entries, {**now, "from_update": update}], stream, indent=1)
            stream.write("\n")
    except (OSError, ValueError) as error:
        logging.warning("%s is not written: %s", path, error)
