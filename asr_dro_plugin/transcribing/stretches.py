"""Frames of any number come in, stretches to decode go out, each cut between two words.

Where a stretch ends is read from each frame's likeliest symbol: amid the longest run of blanks
between two words, in the later half of what waits.  A best path is the same whether it is collapsed
in stretches or whole; a search begins anew in each of them.  Where no words can be told apart for a
long time, the cut lies in the frame most certain of the blank, and what it parts is one word.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.decoding.sounding import blanks
from asr_dro_plugin.text.tokens import MADE_OF_TEXT, SPACE, WORD_START, tags_in

LEAST, MOST = 10.0, 60.0  # seconds that wait: from which on a cut is looked for, and is made

SILENT, PARTING, BEGINNING, INSIDE = range(4)  # what a symbol is to the words around it


class FrameStretch(NamedTuple):
    """Frames (T, V) from number ``start`` on; whether they begin amid a word."""

    log_probs: np.ndarray
    start: int
    amid_word: bool


class Stretches:
    """Frames to stretches.

    Args:
        tokens: the V symbols.
        token_type: char, bpe or word.
        blank_id: the blank's column.
        frame_shift: seconds.
        best_of: the likeliest symbol (T,) of frames (T, V), as the decoder sees them.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        token_type: str,
        blank_id: int,
        frame_shift: float,
        best_of: Callable[[np.ndarray], np.ndarray] = lambda frames: frames.argmax(axis=1),
    ) -> None:
        assert token_type in MADE_OF_TEXT
        self._kinds = kinds_of(tokens, token_type, blank_id)
        self._blank_id, self._best_of = blank_id, best_of
        self._least, self._most = (round(s / frame_shift) for s in (LEAST, MOST))
        self._frames = np.zeros((0, len(tokens)), np.float32)
        self._start, self._last = 0, PARTING
        self._going_on: int | None = None  # the symbol that goes over the last cut
        self._has_spaces = bool({PARTING, BEGINNING} & {*self._kinds.tolist()})
        if not self._has_spaces:  # any place will do
            self._kinds[self._kinds == INSIDE] = BEGINNING

    def add(self, frames: np.ndarray) -> Iterator[FrameStretch]:
        """Take more frames (T, V)."""
        self._frames = np.concatenate([self._frames, self._said_once(frames)])
        while len(self._frames) >= self._least:
            best = self._best_of(self._frames)
            if cut := self._between_words(best):
                yield self._cut(cut, best)
            elif len(self._frames) >= self._most:
                yield self._cut(self._anywhere(), best)
            else:
                return

    def end(self) -> Iterator[FrameStretch]:
        """What is left."""
        if len(self._frames):
            yield self._cut(len(self._frames), self._best_of(self._frames))

    def _between_words(self, best: np.ndarray) -> int:
        """The frame amid the longest pause between two words in the later half; 0 for none."""
        kinds = self._kinds[best]
        said = np.flatnonzero(kinds != SILENT)
        before, after = said[:-1], said[1:]
        gaps = after - before - 1
        parts = (kinds[before] == PARTING) | (kinds[after] == PARTING) | (kinds[after] == BEGINNING)
        cuts = (before + after + 1) // 2
        gaps = np.where(parts & (cuts >= len(best) // 2), gaps, 0)
        if not len(gaps) or not gaps.max():
            return 0 if len(said) else len(best)
        return int(cuts[gaps.argmax()])

    def _anywhere(self) -> int:
        middle = len(self._frames) // 2
        return middle + int(self._frames[middle:-1, self._blank_id].argmax())

    def _cut(self, at: int, best: np.ndarray) -> FrameStretch:
        at = max(1, at)
        said = self._kinds[best[:at]]
        said = said[said != SILENT]
        found = FrameStretch(self._frames[:at].copy(), self._start, self._goes_on(said))
        rest = self._frames[at:].copy()
        if best[at - 1] != self._blank_id:
            self._going_on = best[at - 1]
            rest = self._said_once(rest)
        self._frames, self._start = rest, self._start + at
        self._last = said[-1] if len(said) else self._last
        return found

    def _said_once(self, frames: np.ndarray) -> np.ndarray:
        """Frames behind a cut, in which the symbol that goes over it is not said again."""
        if self._going_on is None:
            return frames
        same = int(np.argmax(np.append(self._best_of(frames) != self._going_on, True)))
        if same < len(frames):
            self._going_on = None
        return np.concatenate([blanks(same, frames, self._blank_id), frames[same:]])

    def _goes_on(self, said: np.ndarray) -> bool:
        """Whether what is said goes on with the word of the stretch before."""
        if not self._has_spaces:
            return True
        return bool(len(said)) and self._last != PARTING and said[0] == INSIDE


def kinds_of(tokens: Sequence[str], token_type: str, blank_id: int) -> np.ndarray:
    """(V,): what each symbol is to the words around it."""
    silent = {tokens[blank_id], *tags_in(tokens)}
    if token_type == "char":
        kinds = [PARTING if token == SPACE else INSIDE for token in tokens]
    else:
        kinds = [BEGINNING if token.startswith(WORD_START) else INSIDE for token in tokens]
    if token_type == "word":
        kinds = [BEGINNING] * len(tokens)
    return np.array(
        [SILENT if token in silent else kind for token, kind in zip(tokens, kinds, strict=True)]
    )
