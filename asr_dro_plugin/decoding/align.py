"""Forced alignment: in which frames a CTC model says each token of a given text.

In numpy, so that a service without torch aligns too: some milliseconds for an utterance, where
``torchaudio.functional.forced_align`` needs tenths of one, which is little beside the model's own
time.  From ten minutes on it is the faster one, and torchaudio's crashes at some twenty
(``bench_segment.py``).

The CTC graph of a text: position i of U + 1 has a blank before token i and, but for the last, token
i (Graves et al., ICML 2006, section 4.1, with the maximum for the sum).  One vector of positions a
frame.  Two hours are some 360,000 frames and 100,000 tokens, 10^10 states: for them a band of
positions around the likeliest one is kept, which moves on from block to block.  Back pointers are
then not kept but computed again from the scores at each block's beginning, last block first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.errors import UserError

BAND = 2048  # positions; at 15 tokens a second, a minute and more on either side
MAX_BAND = 32768  # beyond that, text and audio do not belong together
BLOCK = 256  # frames between two moves of the band
KEPT = 1 << 22  # frames * positions whose back pointers (3 bytes each) are kept from the one pass
EXACT = 1 << 26  # frames * positions up to which nothing is left out: some ten minutes of speech


class TokenSpan(NamedTuple):
    """A token's frames, ``end`` not included, and the mean of its log probabilities there."""

    id: int
    start: int
    end: int
    score: float


def align_tokens(log_probs: np.ndarray, ids: Sequence[int], blank_id: int) -> list[TokenSpan]:
    """The frames of each token on the likeliest CTC path that spells ``ids``.

    Where T * U is large, on the likeliest in a band that is doubled until the path stays off its
    edges.

    Args:
        log_probs: (T, V) float, natural logarithm.
        ids: U token ids without blanks; none is an empty alignment.
        blank_id: the blank's column.

    Returns:
        One span a token, in order, not overlapping.

    Raises:
        UserError: too few frames for the tokens, a token or blank that the model excludes (minus
            infinity) where it is needed, NaN, or a text that does not follow the audio.
        ValueError: ids that are no columns, or the blank's (a fault of the caller).
    """
    tokens = _checked(log_probs, ids, blank_id)
    if not len(tokens):
        return []
    path = _frame_wise(log_probs, tokens, blank_id)
    if path is None and len(log_probs) * (len(tokens) + 1) <= EXACT:
        path = Trellis(log_probs, tokens, blank_id, len(tokens) + 1).path()
    elif path is None:
        path = _widening(log_probs, tokens, blank_id)
    return _spans(log_probs, tokens, path)


def mean_score(spans: Sequence[TokenSpan]) -> float:
    """Mean over the tokens of their log probabilities, 0 for no token: how well a text fits."""
    return sum(span.score for span in spans) / len(spans) if spans else 0.0


def frames_needed(ids: Sequence[int]) -> int:
    """The fewest frames that can hold ``ids``: one a token, and a blank between equal ones."""
    return len(ids) + sum(a == b for a, b in zip(ids, ids[1:]))


def _checked(log_probs: np.ndarray, ids: Sequence[int], blank_id: int) -> np.ndarray:
    tokens = np.asarray(ids, dtype=np.int64)
    if log_probs.ndim != 2:
        raise ValueError(f"log_probs must be (T, V), got {log_probs.shape}")
    columns = log_probs.shape[1]
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= columns):
        found = f"{tokens.min()}..{tokens.max()}"
        raise ValueError(f"token ids must lie in 0..{columns - 1}, got {found}")
    if not 0 <= blank_id < columns or (tokens == blank_id).any():
        raise ValueError(f"the blank {blank_id} must be a column and no token of the text")
    if len(log_probs) < (needed := frames_needed(tokens.tolist())):
        raise UserError(
            f"{len(log_probs)} frames are too few for {len(tokens)} tokens, which need {needed}. "
            "The text is too long for its audio: correct it, or leave it out."
        )
    return tokens


def _frame_wise(log_probs: np.ndarray, tokens: np.ndarray, blank_id: int) -> np.ndarray | None:
    """The path of each frame's likeliest symbol, if it spells the tokens: none is likelier.

    That is so for what a greedy decoder writes, whose times then cost next to nothing.
    """
    best = log_probs.argmax(axis=1)
    is_said = best != blank_id
    begins = is_said & (best != np.append(blank_id, best[:-1]))
    is_it = np.array_equal(best[begins], tokens)
    if not is_it or not np.isfinite(np.take_along_axis(log_probs, best[:, None], axis=1)).all():
        return None
    return np.where(is_said, np.cumsum(begins) - 1, -1)


def _widening(log_probs: np.ndarray, tokens: np.ndarray, blank_id: int) -> np.ndarray:
    """The best path in a band that is doubled until the path keeps off its edges."""
    band, whole = BAND, len(tokens) + 1
    while band <= MAX_BAND:
        trellis = Trellis(log_probs, tokens, blank_id, min(band, whole))
        if trellis.reached_the_end or band >= whole:
            path = trellis.path()
            if not trellis.touched_an_edge:
                return path
        band *= 2
    raise UserError(
        f"The text of {len(tokens)} tokens does not follow its audio: no alignment keeps within "
        f"{MAX_BAND // 2} tokens of the likeliest one. Cut the two where both are known to meet."
    )


def _spans(log_probs: np.ndarray, tokens: np.ndarray, path: np.ndarray) -> list[TokenSpan]:
    """The runs of a path (T,) of token positions, -1 for blanks."""
    frames = np.flatnonzero(path >= 0)
    said = path[frames]
    firsts = np.flatnonzero(np.diff(said, prepend=-1))
    counts = np.diff(firsts, append=len(said))
    scores = np.add.reduceat(log_probs[frames, tokens[said]].astype(np.float64), firsts) / counts
    starts = frames[firsts]
    columns = (tokens, starts, starts + counts, scores)
    return [TokenSpan(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


@dataclass
class TrellisColumn:
    """Scores before a block's first frame, of the positions ``low`` to ``low`` + band."""

    low: int
    blank: np.ndarray
    token: np.ndarray


class Trellis:
    """One pass over frames (T, V) and tokens (U,), one at least.

    Scores (W,) are of the blank before and of the token at a position; ``band`` is W, the positions
    kept, 1..U + 1.
    """

    def __init__(self, log_probs: np.ndarray, tokens: np.ndarray, blank_id: int, band: int) -> None:
        self.log_probs, self.blank_id, self.band = log_probs, blank_id, band
        self.size = len(tokens)
        self.ids = np.append(tokens, blank_id)  # the last position has no token
        differs = np.append(True, tokens[1:] != tokens[:-1])
        self.skip = np.where(np.append(differs, True), 0, -np.inf).astype(np.float32)
        self.margin, self.touched_an_edge = band // 16, False
        self.columns: list[TrellisColumn] = []
        self.back: list[np.ndarray] = []
        self.keeps_back = len(log_probs) * band <= KEPT
        self._forward()

    @property
    def reached_the_end(self) -> bool:
        """Whether a path of non-zero probability ends at the text's end."""
        return bool(np.isfinite(max(self._ends())))

    def path(self) -> np.ndarray:
        """(T,) int64: the position of the token said in each frame, -1 for a blank.

        Raises:
            UserError: there is no path.
        """
        if not self.reached_the_end:
            raise UserError(
                "No path through the model's output spells the text: it has NaN, or excludes one "
                "of the tokens where it is needed. Look at the model, or leave the utterance out."
            )
        return self._backward()

    def _forward(self) -> None:
        low = 0
        blank, token = np.full((2, self.band), -np.inf, dtype=np.float32)
        blank[0] = 0  # before the first frame: nothing said
        for first in range(0, len(self.log_probs), BLOCK):
            if first:
                low, blank, token = self._moved(low, blank, token, first)
            self.columns.append(TrellisColumn(low, blank.copy(), token.copy()))
            back = self._block(len(self.columns) - 1, blank, token)
            if self.keeps_back:
                self.back.append(back)
        self.last = TrellisColumn(low, blank, token)

    def _moved(self, low: int, blank: np.ndarray, token: np.ndarray, frame: int):
        """The band, its middle at the likeliest position, and scores taken along.

        It never goes back, and never so late that the text's end could not be reached.  Scores are
        kept near 0, where float32 is precise.
        """
        best = low + int(np.maximum(blank, token).argmax())
        latest = self.size + 1 - self.band
        must = latest - max(len(self.log_probs) - frame - BLOCK, 0)
        shift = min(max(best - self.band // 2, must, low), latest) - low
        top = max(blank.max(), token.max())
        moved = np.full((2, self.band), -np.inf, dtype=np.float32)
        if np.isfinite(top) and shift < self.band:
            moved[0, : self.band - shift] = blank[shift:] - top
            moved[1, : self.band - shift] = token[shift:] - top
        return low + shift, moved[0], moved[1]

    def _emissions(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """A block's log probabilities: of the blank (N,), of the band's tokens (N, W)."""
        low = self.columns[number].low
        frames = self.log_probs[number * BLOCK : (number + 1) * BLOCK]
        says = frames[:, self.ids[low : low + self.band]].astype(np.float32, copy=False)
        if low + self.band > self.size:
            says[:, -1] = -np.inf  # behind the last token
        return frames[:, self.blank_id], says

    def _block(self, number: int, blank: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Bring the scores over a block's frames, in place.

        Returns:
            (3, N, W) bool, where each state came from: a token from the token before it, else a
            token from its blank (else from itself); a blank from the token before it (else itself).
        """
        blanks, says = self._emissions(number)
        back = np.empty((3, *says.shape), dtype=bool)
        low = self.columns[number].low
        skip = self.skip[low : low + self.band]
        tokens = np.append(np.float32(-np.inf), token)
        before, now = tokens[:-1], tokens[1:]  # views: position i - 1 and i
        stepped, entered = np.empty_like(token), np.empty_like(token)
        for b, says_now, from_token, from_blank, to_blank in zip(blanks.tolist(), says, *back):
            np.add(before, skip, out=stepped)
            np.greater(blank, now, out=from_blank)
            np.maximum(blank, now, out=entered)
            np.greater(stepped, entered, out=from_token)
            np.greater(before, blank, out=to_blank)
            np.maximum(blank, before, out=blank)
            np.add(blank, b, out=blank)
            np.maximum(entered, stepped, out=now)
            np.add(now, says_now, out=now)
        token[:] = now
        return back

    def _ends(self) -> tuple[float, float]:
        """Scores of ending in the last token and in the blank after it."""
        end = self.size - self.last.low
        token = self.last.token[end - 1] if end >= 1 else -np.inf
        return float(token), float(self.last.blank[end]) if end < self.band else -np.inf

    def _backward(self) -> np.ndarray:
        path = np.full(len(self.log_probs), -1, dtype=np.int64)
        in_token, in_blank = self._ends()
        said = in_token >= in_blank
        position = self.size - 1 if said else self.size
        for number in reversed(range(len(self.columns))):
            start, first = self.columns[number], number * BLOCK
            from_token, from_blank, to_blank = self._back_of(number)
            for row in range(min(BLOCK, len(path) - first) - 1, -1, -1):
                at = position - start.low
                self._watch_edges(at, start.low)
                if not said:
                    said = bool(to_blank[row, at])
                    position -= said
                    continue
                path[first + row] = position
                if from_token[row, at]:
                    position -= 1
                else:
                    said = not from_blank[row, at]
        return path

    def _back_of(self, number: int) -> np.ndarray:
        if self.keeps_back:
            return self.back[number]
        start = self.columns[number]
        return self._block(number, start.blank.copy(), start.token.copy())

    def _watch_edges(self, at: int, low: int) -> None:
        """Note a path that comes near an edge of the band beyond which there is more text."""
        near_low = low > 0 and at < self.margin
        near_high = low + self.band <= self.size and self.band - at <= self.margin
        self.touched_an_edge |= near_low or near_high
