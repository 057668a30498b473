"""Batches of about d seconds out of the utterances of one group: full, and alike in length.

Fill and padding pull in opposite directions.  Neighbours in the order of length need no padding
but leave a rest that no further neighbour fits into; whatever fills a rest of r seconds in a batch
whose longest utterance has u seconds costs u - r seconds of padding.  So the best trade is one
threshold on r / u (the Lagrangian of the two sums), and each batch is filled from the longest
utterance that fits downwards, as long as that is not shorter than a share of the batch's longest.
"""

import bisect
from dataclasses import dataclass

import numpy as np

Batches = list[np.ndarray]

# Shortest against longest utterance of a batch, tried in this order until the batches are full
# enough.  0.61 reaches ENOUGH on speech of the usual spread of lengths, with less padding than that
# of thirty buckets; the rest is for small groups and odd sets.
SHARES = (0.61, 0.58, 0.55, 0.5, 0.4, 0.3, 0.0)
ENOUGH = 0.95  # of d, the mean over a group's batches but the least full one
THIN = 0.75  # of d: batches below it are mixed again, for length matters more than padding there
PADDED = 1.5  # of d: bound of utterances * longest, the memory a batch takes
SPREAD = (0.002, 0.1)  # limits of the random change of lengths that redraws the batches


def pack(durations: np.ndarray, limit: float, rng: np.random.Generator | None = None) -> Batches:
    """Batches of at most ``limit`` seconds that hold every utterance once.

    Args:
        durations: (N,) seconds, all positive.
        limit: d, seconds.  A longer utterance is alone in its batch.
        rng: draws which of about equally long utterances meet; None: always the same batches.

    Returns:
        Index arrays into ``durations``, the longest utterances in the first ones.
    """
    spread, keys = 0.0, durations
    if rng is not None and len(durations):
        # As wide as two batches are in the order of length, so that small groups are redrawn too.
        spread = float(np.clip(2 * limit / durations.sum(), *SPREAD))
        keys = durations * (1 + rng.uniform(-spread, spread, len(durations)))
    packer = _Packer(durations, keys, limit, spread)
    for share in SHARES:
        batches = packer.batches(share)
        if packer.is_enough(batches) or not packer.held_back:
            break
    return batches


def seconds_of(batches: Batches, durations: np.ndarray) -> np.ndarray:
    """Seconds of speech in each batch, (number of batches,); none of them may be empty."""
    if not batches:
        return np.zeros(0)
    starts = np.cumsum([0, *map(len, batches[:-1])])
    return np.add.reduceat(durations[np.concatenate(batches)], starts)


@dataclass
class _Packer:
    """One group: its lengths and the keys, within ``spread`` of them, that order it.

    ``held_back`` says whether an utterance would have fitted but for the share of the latest try.
    """

    durations: np.ndarray
    keys: np.ndarray
    limit: float
    spread: float
    held_back: bool = False

    def batches(self, share: float) -> Batches:
        """All utterances; those of thin batches are packed once more, whatever the padding."""
        self.held_back = False
        batches = self.greedy(np.arange(len(self.durations)), share)
        is_thin = seconds_of(batches, self.durations) < THIN * self.limit
        if share == 0 or is_thin.sum() < 2:
            return batches
        kept = [batch for batch, thin in zip(batches, is_thin) if not thin]
        members = [batch for batch, thin in zip(batches, is_thin) if thin]
        return kept + self.greedy(np.concatenate(members), 0.0)

    def is_enough(self, batches: Batches) -> bool:
        """Whether all but the least full batch are filled as they should be."""
        seconds = np.minimum(seconds_of(batches, self.durations), self.limit)
        filled = np.sort(seconds)[1:]
        return len(filled) == 0 or filled.mean() >= ENOUGH * self.limit

    def greedy(self, members: np.ndarray, share: float) -> Batches:
        """Open a batch with the longest that is free, add the longest that fits, and so on."""
        order = members[np.argsort(self.keys[members], kind="stable")]
        free = _Free(self.keys[order].tolist(), self.durations[order].tolist())
        flat: list[int] = []
        ends: list[int] = []
        top = free.last(len(order))
        while top:
            flat += self.one_batch(free, top, share)
            ends.append(len(flat))
            top = free.last(top)
        return np.split(order[np.array(flat, dtype=np.int64) - 1], ends[:-1]) if flat else []

    def one_batch(self, free: "_Free", top: int, share: float) -> list[int]:
        """Positions of a batch whose longest utterance is at ``top``."""
        seconds, rest = free.seconds, self.limit
        shortest, longest = share * seconds[top], 0.0
        batch: list[int] = []
        position = top
        while position:
            longest = max(longest, seconds[position])
            if batch and (len(batch) + 1) * longest > PADDED * self.limit:
                break
            batch.append(position)
            rest -= seconds[position]
            position = self.next_fitting(free, free.take(position), rest)
            if seconds[position] < shortest:
                self.held_back |= position > 0
                break
        return batch

    def next_fitting(self, free: "_Free", position: int, rest: float) -> int:
        """The highest free position from ``position`` down that has at most ``rest`` seconds."""
        if free.seconds[position] > rest:
            # A key is within `spread` of its seconds, so that what is found here does fit.
            position = free.last_below(rest * (1 - self.spread), position)
        return position if free.seconds[position] <= rest else 0


class _Free:
    """Utterances that no batch holds yet, numbered 1..N in the order of ``keys``; 0 is none."""

    def __init__(self, keys: list[float], seconds: list[float]) -> None:
        self.keys, self.seconds = [0.0, *keys], [0.0, *seconds]
        self.below = list(range(len(keys) + 1))  # itself while free, else one further down

    def last(self, position: int) -> int:
        """The highest free position up to ``position`` (union-find with path halving)."""
        below = self.below
        while below[position] != position:
            below[position] = position = below[below[position]]
        return position

    def last_below(self, key: float, position: int) -> int:
        """The highest free one up to ``position`` whose key is at most ``key``."""
        return self.last(max(0, bisect.bisect_right(self.keys, key, 0, position + 1) - 1))

    def take(self, position: int) -> int:
        """Mark one as used; returns the next free one below it."""
        self.below[position] = position - 1
        return self.last(position - 1)
