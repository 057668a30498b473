"""What a search looks at: the frames that are not certainly blank, and their likeliest tokens.

A frame that is blank with a probability above ``blank_threshold``, before any penalty, parts what
stands on its two sides and adds its blank's log probability; nothing else of it is searched.  What
is lost is the mass of the paths that hold a token in such a frame, at most ``1 - blank_threshold``
of each (exp(penalty) times as much with a penalty).  With a threshold of 1 every frame is searched
and nothing is lost.
"""

import math
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import frames_inside


@dataclass(frozen=True)
class Frames:
    """Frames to search of N utterances, longest first; F is the longest one's number of them.

    Args:
        log_probs: (N, F, V) float32.
        candidates: (N, F, C) ids of the C likeliest tokens of each frame, blank apart.
        probs: (N, F, C) float64, their probabilities.
        parted: (N, F) bool, whether certain blanks lie between this frame and the one before.
        lengths: (N,) falling.
        certain: (N,) natural logarithm of the probability of all frames left out.
        order: (N,) which utterance of the batch each row is.
    """

    log_probs: np.ndarray
    candidates: np.ndarray
    probs: np.ndarray
    parted: np.ndarray
    lengths: np.ndarray
    certain: np.ndarray
    order: np.ndarray
    blank_id: int


def search_frames(
    log_probs: np.ndarray,
    lengths: np.ndarray,
    blank_id: int,
    beam_size_token: int | None,
    blank_threshold: float,
    penalty: np.ndarray | float = 0.0,
) -> Frames:
    """Choose the frames and the tokens to search.

    Args:
        log_probs: (B, T, V) natural logarithms; what is past the lengths (B,) is not read.
        beam_size_token: C; None for all tokens.
        blank_threshold: in (0, 1]; 1 leaves no frame out.
        penalty: what each blank's logarithm loses, one number or one an utterance (B,).
    """
    inside = frames_inside(log_probs, lengths)
    searched = inside.copy()
    if blank_threshold < 1:
        searched &= log_probs[:, :, blank_id] <= math.log(blank_threshold)
    order = np.argsort(-searched.sum(1), kind="stable")
    penalty = np.broadcast_to(np.asarray(penalty, log_probs.dtype), len(log_probs))
    blank = np.where(inside & ~searched, log_probs[:, :, blank_id] - penalty[:, None], 0.0)
    searched = searched[order]
    kept = _packed(log_probs[order], searched)
    kept[:, :, blank_id] -= penalty[order, None]
    candidates = _likeliest(kept, blank_id, beam_size_token)
    probs = np.exp(np.take_along_axis(kept, candidates, -1).astype(np.float64))
    return Frames(
        log_probs=kept,
        candidates=candidates,
        probs=probs,
        parted=_packed(_after_a_gap(searched), searched),
        lengths=searched.sum(1),
        certain=blank.astype(np.float64).sum(1)[order],
        order=order,
        blank_id=blank_id,
    )


def _packed(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The masked frames of each row (N, T, …) moved to its beginning (N, F, …)."""
    num = mask.sum(1)
    packed = np.zeros((len(mask), int(num.max(initial=0)), *values.shape[2:]), values.dtype)
    rows, frames = mask.nonzero()
    packed[rows, mask.cumsum(1)[rows, frames] - 1] = values[rows, frames]
    return packed


def _after_a_gap(searched: np.ndarray) -> np.ndarray:
    """Whether the frame before one is left out (the frames before the first part nothing)."""
    gap = np.zeros_like(searched)
    gap[:, 1:] = ~searched[:, :-1]
    return gap


def _likeliest(log_probs: np.ndarray, blank_id: int, size: int | None) -> np.ndarray:
    """Ids (N, F, C) of the likeliest tokens of each frame, the blank left out."""
    others = np.delete(np.arange(log_probs.shape[2]), blank_id)
    if size is None or size >= len(others):
        return np.broadcast_to(others, (*log_probs.shape[:2], len(others)))
    best = np.argpartition(-log_probs[:, :, others], size - 1, axis=-1)[:, :, :size]
    return others[best]
