"""Forced alignment: in which frames a CTC model says each token of a given text.

In numpy, so that a service without torch aligns too: some milliseconds for an utterance, where
``torchaudio.functional.forced_align`` needs tenths of one, which is little beside the model's own
time.  From ten minutes on it is the faster one, and torchaudio's crashes at some twenty
(``bench_segment.py``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.decoding.trellis import Trellis
from asr_dro_plugin.errors import UserError

BAND = 2048  # positions; at 15 tokens a second, a minute and more on either side
MAX_BAND = 32768  # beyond that, text and audio do not belong together
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
    if len(log_probs) * (len(tokens) + 1) <= EXACT:
        path = Trellis(log_probs, tokens, blank_id, len(tokens) + 1).path()
    else:
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
