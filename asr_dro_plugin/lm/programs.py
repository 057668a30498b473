"""KenLM: its module reads models; its programs estimate them (``lmplz``, ``build_binary`` packs).

kenlm's wheel brings neither of the programs, which serve where they are on PATH.  Source:
https://github.com/kpu/kenlm (LGPL), not needed.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_dro_plugin.errors import UserError, how_to_install, in_one_line

LMPLZ, BUILD_BINARY = "lmplz", "build_binary"
LONGEST = 2000  # letters of a message, which is told whole
SORTING_MEMORY = "1G"  # lmplz would take 80 % of the machine; beyond it, it sorts on disk


def import_kenlm():
    """The package, or an error that names the extra."""
    try:
        import kenlm
    except ImportError:
        raise UserError(
            f"Reading a language model needs the package kenlm, which is not here: "
            f"{how_to_install('lm')}"
        ) from None
    return kenlm


def load_kenlm(path: str | os.PathLike, reader: Callable[[str], Any] | None = None) -> Any:
    """A model, without KenLM's progress bar; one line where it cannot be read.

    Args:
        path: ARPA (plain or gzip) or KenLM's binary form.
        reader: reads it; default ``kenlm.Model``.

    Raises:
        UserError: KenLM is not installed, or cannot read the file.
    """
    reader = reader or import_kenlm().Model
    try:
        with silent_stderr():
            return reader(str(path))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{path} is not read by KenLM: {_said(error)}. Make it again: asr-dro lm build."
        ) from None


def _said(error: Exception) -> str:
    """KenLM's message without the names of its C++, and the brackets that its module puts."""
    line = in_one_line(error, LONGEST)
    if found := re.match(r"Cannot read model '.*?' \((.*)\)$", line):
        line = found[1]
    found = re.search(r" threw \w+(?: because `.*')?\. (.*)", line)
    return (found[1] if found else line).rstrip(".")


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """KenLM's C++ draws a progress bar on file descriptor 2; here it does not."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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
        said = [line for line in done.stderr.splitlines() if line.strip()]
        last = in_one_line(said[-1], LONGEST) if said else "no message"
        raise UserError(f"{program} failed with exit code {done.returncode}: {last}")
