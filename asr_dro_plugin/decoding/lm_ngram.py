"""A KenLM n-gram with numbered states and natural logarithms."""

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asr_dro_plugin.errors import UserError

LN10 = math.log(10)
START, NO_CONTEXT = 0, 1
EXTRA = "Install it: pip install 'asr-dro[lm]'."


class NGram:
    """Scores of words by state; equal histories are one state, numbered as they are met.

    Args:
        path: ARPA (plain or gzip) or KenLM's binary form.

    Raises:
        UserError: KenLM is not installed, or cannot read the file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._kenlm = import_kenlm()
        self._model = load(self._kenlm.Model, self.path)
        self.forget()

    def __contains__(self, word: str) -> bool:
        return word in self._model

    def __len__(self) -> int:
        return len(self._states)

    def forget(self) -> None:
        """Drop the states met so far; numbers given before are void."""
        start, empty = self._kenlm.State(), self._kenlm.State()
        self._model.BeginSentenceWrite(start)
        self._model.NullContextWrite(empty)
        self._states, self._ids = [start, empty], {start: START, empty: NO_CONTEXT}

    def score(self, state: int, word: str) -> tuple[float, int]:
        """Log probability of a word after a state, and the state after it."""
        after = self._kenlm.State()
        value = self._model.BaseScore(self._states[state], word, after)
        number = self._ids.setdefault(after, len(self._states))
        if number == len(self._states):
            self._states.append(after)
        return value * LN10, number

    def end(self, state: int) -> float:
        """Log probability that the sentence ends after a state."""
        return self.score(state, "</s>")[0]


def import_kenlm():
    """The package, or an error that names the extra."""
    try:
        import kenlm
    except ImportError:
        raise UserError(f"Mode lm needs the package kenlm, which is not here. {EXTRA}") from None
    return kenlm


def load(reader: Callable[[str], Any], path: Path) -> Any:
    """What KenLM reads from a file, without its progress bar; one line where it cannot."""
    if not path.is_file():
        raise UserError(f"{path} does not exist. Build the language model: asr-dro lm build.")
    try:
        with silent_stderr():
            return reader(str(path))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"KenLM cannot read {path}: {reason} Build it again.") from None


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
