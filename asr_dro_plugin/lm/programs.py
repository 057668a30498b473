"""KenLM's own programs, where they are on PATH: ``lmplz`` estimates, ``build_binary`` packs.

kenlm's wheel brings neither.  Source: https://github.com/kpu/kenlm (LGPL), not needed.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.errors import UserError

LMPLZ, BUILD_BINARY = "lmplz", "build_binary"
SORTING_MEMORY = "1G"  # lmplz would take 80 % of the machine; beyond it, it sorts on disk


def is_installed(program: str) -> bool:
    """Whether a program is on PATH."""
    return shutil.which(program) is not None


def run_lmplz(
    text: str | os.PathLike, arpa: str | os.PathLike, order: int, prune: Sequence[int]
) -> None:
    """Estimate with KenLM; temporary files lie beside ``arpa``.

    Args:
        text: symbols separated by spaces, a sentence a line.
        arpa: gets the plain ARPA file.
        order, prune: as in ``kneser_ney.estimate``.

    Raises:
        UserError: lmplz is not there, or failed; with its last line.
    """
    options = ["--order", str(order), "--discount_fallback", "--skip_symbols"]
    options += ["--memory", SORTING_MEMORY, "--temp_prefix", f"{Path(arpa).parent}/lmplz."]
    options += ["--text", str(text), "--arpa", str(arpa)]
    _run(LMPLZ, [*options, "--prune", *map(str, prune)] if any(prune) else options)


def run_build_binary(arpa: str | os.PathLike, binary: str | os.PathLike) -> None:
    """Turn an ARPA file into KenLM's trie, which loads at once and takes the least memory."""
    _run(BUILD_BINARY, ["-T", f"{Path(binary).parent}/", "trie", str(arpa), str(binary)])


def _run(program: str, arguments: list[str]) -> None:
    if not is_installed(program):
        raise UserError(
            f"{program} is not on PATH. Build KenLM and put its bin/ there, "
            "or give --estimator builtin."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        last = said[-1][:300] if said else "no message"
        raise UserError(f"{program} failed with exit code {done.returncode}: {last}")
