"""One order of the batches of all groups, even from the first step to the last."""

import heapq

import numpy as np


def interleave(counts_G: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Group of each step, so that every stretch of steps holds the groups in proportion.

    The two shortest sequences are merged, each spread evenly over the other, until one is left (the
    order in which Huffman builds his tree).  A merge can only part the neighbours of either, so
    that no group comes more than twice in a row, unless it outweighs all others together: then its
    runs are as long as its batches over those of the others, rounded up.

    Args:
        counts_G: (G,) batches of each group; 0 is allowed.
        rng: draws where each sequence begins.

    Returns:
        (sum of counts,) group ids.
    """
    ties = rng.permutation(len(counts_G))  # so that equal groups take turns in another order
    heap = [(int(n), ties[g], np.full(n, g)) for g, n in enumerate(counts_G) if n]
    heapq.heapify(heap)
    while len(heap) > 1:
        num, _, few = heapq.heappop(heap)
        more, tie, many = heapq.heappop(heap)
        heapq.heappush(heap, (num + more, tie, _merged(few, many, rng)))
    return heap[0][2] if heap else np.zeros(0, dtype=np.int64)


def _merged(few: np.ndarray, many: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    places = [(np.arange(len(part)) + rng.uniform()) / len(part) for part in (few, many)]
    return np.concatenate([few, many])[np.argsort(np.concatenate(places), kind="stable")]


def longest_run(groups: np.ndarray) -> int:
    """Most steps in a row that belong to one group."""
    if len(groups) == 0:
        return 0
    changes = np.flatnonzero(np.diff(groups)) + 1
    return int(np.diff([0, *changes, len(groups)]).max())
