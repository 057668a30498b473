"""A KenLM n-gram with numbered states and natural logarithms."""

import math
import os

from asr_dro_plugin.lm.programs import import_kenlm, load_kenlm

LN10 = math.log(10)
START, NO_CONTEXT = 0, 1


class NGram:
    """Scores of words by state; equal histories are one state, numbered as they are met.

    Args:
        path: ARPA (plain or gzip) or KenLM's binary form.

    Raises:
        UserError: KenLM is not installed, or cannot read the file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._kenlm, self._model = import_kenlm(), load_kenlm(path)
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
