"""Interpolated modified Kneser-Ney smoothing, as KenLM's lmplz does it.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999, section
4.1.6; Heafield et al., "Scalable modified Kneser-Ney language model estimation", 2013.

    p(w | h) = (a(hw) - D(a(hw))) / a(h.) + gamma(h) p(w | h')
    gamma(h) = sum of the discounts taken in h / a(h.)

a are adjusted counts, h' is h without its first word, and p of the empty context is uniform over
the words, ``</s>`` and ``<unk>``.  A pruned n-gram gives its whole count to gamma, so that for
every context the probabilities sum to one.  Letters: V words, K n-grams of an order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.lm.counts import BEGIN_ID, Corpus, Counts, count_ngrams

FALLBACK = (0.5, 1.0, 1.5)  # of lmplz --discount_fallback, for texts too small or too regular


@dataclass(frozen=True)
class Discounts:
    """D1, D2, D3+ of one order; ``fallback`` says that the text did not yield them."""

    values: tuple[float, float, float]
    fallback: bool


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order as an ARPA file has them.

    Attributes:
        order: n.
        first: (K,) where each begins in the text (order 1: unused, all words in id order).
        log_probs: (K,) log10 of the probability.
        backoffs: (K,) log10 of gamma, 0 where nothing follows; None in the highest order.
        discounts: what was taken.
    """

    order: int
    first: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray | None
    discounts: Discounts


def discounts_of(adjusted: np.ndarray) -> Discounts:
    """D1, D2, D3+ from the counts of counts (Chen and Goodman 1999, equation 26).

    Where one of the counts 1, 2, 3 does not occur, or a discount comes out beyond 0 < D(k) <= k,
    all three are ``FALLBACK``.
    """
    n = np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5].astype(np.float64)
    if not n[:3].all():
        return Discounts(FALLBACK, fallback=True)
    y = n[0] / (n[0] + 2 * n[1])
    values = tuple(float(k - (k + 1) * y * n[k] / n[k - 1]) for k in (1, 2, 3))
    if not all(0 < value <= k for k, value in enumerate(values, 1)):
        return Discounts(FALLBACK, fallback=True)
    return Discounts(values, fallback=False)


def interpolated(
    counts: Counts, kept: np.ndarray, discounts: Discounts, lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of one order, and the gammas of their contexts.

    Args:
        kept: (K,) bool, which of the n-grams are not pruned.
        lower: (K of order n-1,) probabilities of that order.

    Returns:
        (K,) probabilities (a pruned n-gram's is that of backing off), (K of order n-1,) gammas,
        1 for what is no context.
    """
    taken = np.array([0.0, *discounts.values])[np.minimum(counts.adjusted, 3)]
    taken = np.where(kept, taken, counts.adjusted)
    total = np.bincount(counts.prefix, counts.adjusted, minlength=len(lower))
    freed = np.bincount(counts.prefix, taken, minlength=len(lower))
    gammas = np.divide(freed, total, out=np.ones_like(freed), where=total > 0)
    probs = (counts.adjusted - taken) / total[counts.prefix]
    return probs + gammas[counts.prefix] * lower[counts.suffix], gammas


def estimate(corpus: Corpus, order: int, prune: Sequence[int] = (0,)) -> Iterator[Grams]:
    """The model's n-grams, one order after the other; fewer where the text has no longer ones.

    n-grams of order n that occur at most ``prune[n - 1]`` times are left out; 0 for order 1, not
    falling, the last for all higher orders.
    """
    lower = np.array([1 / (len(corpus.words) - 1)])  # <s> is never predicted
    waiting: Grams | None = None
    is_kept = np.ones(1, bool)
    for length, counts in enumerate(count_ngrams(corpus, order), 1):
        discounts = discounts_of(counts.adjusted)
        kept = (
            counts.count > prune[min(length, len(prune)) - 1] if length > 1 else counts.count >= 0
        )
        probs, gammas = interpolated(counts, kept, discounts, lower)
        if waiting:
            yield replace(waiting, backoffs=np.log10(np.minimum(gammas[is_kept], 1.0)))
        if length == 1:
            probs[BEGIN_ID] = 1.0  # as lmplz writes it; nobody asks for it
        log_probs = np.log10(np.minimum(probs[kept], 1.0))
        waiting = Grams(length, counts.first[kept], log_probs, None, discounts)
        lower, is_kept = probs, kept
    yield waiting
