"""Words of a given text that a model has no tokens for: the others are aligned around them.

In their place stands a star, one token that may be anything: in each frame it is a hair less likely
than the likeliest token, so that it takes the frames that nothing else of the text explains (as the
star of Cai et al., W-CTC, ICASSP 2022, and of Pratap et al., MMS, 2023).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from asr_dro_plugin.transcripts.transcript import Unit

BEHIND = 1e-3  # by which the star's log probability is below the likeliest token's


def with_star(log_probs: np.ndarray) -> np.ndarray:
    """(T, V) with the star as a column more."""
    star = log_probs.max(axis=1, keepdims=True) - np.float32(BEHIND)
    return np.concatenate([log_probs, star.astype(log_probs.dtype, copy=False)], axis=1)


def ids_with_stars(
    words: Sequence[tuple[str, bool]],
    to_ids: Callable[[str], list[int]],
    between: Sequence[int],
    star: int,
) -> list[int]:
    """Tokens of a text whose unknown words are stars, one for each run of them.

    Args:
        words: normalised, the language tag among them, and whether each is known.
        to_ids: text to tokens.
        between: the tokens of the space between two words, if it has any.
        star: its id.
    """
    found: list[int] = []
    for known, run in groupby(words, key=lambda pair: pair[1]):
        text = " ".join(word for word, _ in run)
        found += [*(between if found else ()), *(to_ids(text) if known else [star])]
    return found


def between_neighbours(
    words: Sequence[Unit], is_known: Sequence[bool], start: float, end: float
) -> list[Unit]:
    """Unknown words get what lies between the known ones, in a row each its part by its length.

    Args:
        words: in order; of unknown ones only the text counts.
        is_known: of each word.
        start, end: seconds of the whole.
    """
    timed = list(words)
    for known, run in groupby(range(len(words)), key=lambda n: is_known[n]):
        run = list(run)
        if known:
            continue
        first = timed[run[0] - 1].end if run[0] else start
        last = words[run[-1] + 1].start if run[-1] + 1 < len(words) else max(end, first)
        sizes = np.cumsum([0, *(len(words[n].text) for n in run)])
        edges = np.minimum(first + (last - first) * (sizes / sizes[-1]), last)  # rounding
        edges[-1] = last
        for n, (begin, stop) in zip(run, zip(edges, edges[1:]), strict=True):
            timed[n] = replace(words[n], start=float(begin), end=float(stop), confidence=0.0)
    return timed
