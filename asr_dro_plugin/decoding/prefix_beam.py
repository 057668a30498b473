"""CTC prefix beam search over a whole batch at once, with a place for a language model.

Source: Graves, "Sequence Transduction with Recurrent Neural Networks", 2012, section 2.5 (prefix
search); Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs", 2014, algorithm 1 (the language model inside it).

A prefix is a sequence of tokens; all alignments of it are summed, those that end in a blank apart
from those that end in its last token.  With a beam that holds every prefix the result is exact.

Probabilities are kept as numbers, divided in each frame by the best prefix's, whose logarithm is
added up: as safe from underflow as logarithms within 700 natural logs of the best, and without a
logarithm or exponential a candidate.  Shapes: N utterances, K prefixes, C candidates, V tokens.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asr_dro_plugin.decoding.search_frames import Frames

NO_TOKEN = -1
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing, 2^64 / golden ratio


class Scorer(Protocol):
    """A language model that weighs prefixes while they grow; arrays are (N, K) by slot."""

    bonus: np.ndarray  # natural logarithm that each prefix has got so far

    def start(self, num_utterances: int, beam_size: int) -> None:
        """Begin a batch: every slot holds the empty prefix."""

    def weigh(self, extended: np.ndarray, candidates: np.ndarray, floor: np.ndarray) -> None:
        """Multiply masses (n, K, C) of prefixes with one more token in place.

        What cannot get above ``floor`` (n,) any more may be set to 0 unseen.
        """

    def advance(self, source: np.ndarray, token: np.ndarray) -> None:
        """Slots of the first n utterances are now ``source`` (n, K), grown by ``token`` or -1."""

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the text's end adds to the bonus, the model's log probability, and which are whole.

        All (N, K); a prefix that is not whole is a result only where none is.
        """


@dataclass(frozen=True)
class Prefix:
    """One result: token ids, its acoustic log probability, and what a language model gave."""

    ids: tuple[int, ...]
    am_score: float
    bonus: float = 0.0
    lm_score: float | None = None

    @property
    def score(self) -> float:
        """What the search ranks by."""
        return self.am_score + self.bonus


def search(
    frames: Frames,
    beam_size: int,
    nbest: int,
    beam_threshold: float = np.inf,
    scorer: Scorer | None = None,
) -> list[list[Prefix]]:
    """The n best prefixes of each utterance of the batch, best first, in the batch's order.

    Args:
        frames: what to search.
        beam_size: K, prefixes kept in a frame.
        nbest: how many to give; fewer where the search found fewer.
        beam_threshold: natural logs behind the best at which a prefix is dropped.
        scorer: a language model.
    """
    beam = _Beam(len(frames.lengths), frames.log_probs.shape[1], beam_size, scorer)
    smallest = np.exp(-beam_threshold)
    for step in range(frames.log_probs.shape[1]):
        beam.step(frames, step, int((frames.lengths > step).sum()), smallest)
    found: list[list[Prefix]] = [[] for _ in frames.order]
    for row, prefixes in enumerate(beam.results(frames, nbest)):
        found[int(frames.order[row])] = prefixes
    return found


class _Beam:
    """K prefixes of each of N utterances; an empty slot has no mass."""

    def __init__(self, num: int, num_steps: int, size: int, scorer: Scorer | None) -> None:
        shape = (num, size)
        self.blank, self.label = np.zeros(shape), np.zeros(shape)  # ending in blank, in a token
        self.blank[:, 0] = 1.0
        self.last = np.full(shape, NO_TOKEN)
        self.key = np.ones(shape, np.uint64)  # a hash names a prefix: 64 bits, no tree to walk
        self.parent = np.zeros(shape, np.uint64)
        self.scale = np.zeros(num)  # natural logarithm of what masses were divided by
        self.source = np.zeros((num_steps, *shape), np.int32)
        self.token = np.full((num_steps, *shape), NO_TOKEN, np.int32)
        self.scorer = scorer
        if scorer is not None:
            scorer.start(num, size)

    def step(self, frames: Frames, step: int, n: int, smallest: float) -> None:
        """Take one frame of the first ``n`` utterances."""
        candidates, probs = frames.candidates[:n, step], frames.probs[:n, step]
        row = frames.log_probs[:n, step].astype(np.float64)
        blank, label, last = self.blank[:n], self.label[:n], self.last[:n]
        parted = frames.parted[:n, step, None]
        total = blank + label
        blank, label = np.where(parted, total, blank), np.where(parted, 0.0, label)

        again = np.exp(np.take_along_axis(row, np.maximum(last, 0), 1)) * (last != NO_TOKEN)
        new_blank = total * np.exp(row[:, frames.blank_id, None])
        new_label = label * again
        same = last[:, :, None] == candidates[:, None, :]
        extended = np.where(same, blank[:, :, None], total[:, :, None]) * probs[:, None, :]
        new_label += self._from_parents(n, blank, total, again, same, extended)

        stay = new_blank + new_label
        if self.scorer is not None:
            floor = np.maximum(stay.min(1), stay.max(1) * smallest)
            self.scorer.weigh(extended, candidates, floor)
        chosen = _best(np.concatenate([stay, extended.reshape(n, -1)], 1), stay.shape[1])
        self._keep(step, chosen, candidates, new_blank, new_label, extended, smallest)

    def _from_parents(self, n, blank, total, again, same, extended) -> np.ndarray:
        """Mass (n, K) that prefixes of the beam get from their parents in the beam.

        The same growth among the candidates is cleared, or the prefix would stand twice.
        """
        alive = total > 0
        family = self.parent[:n, :, None] == self.key[:n, None, :]
        family &= alive[:, :, None] & alive[:, None, :]
        child, parent = np.nonzero(family.any(-1)), family.argmax(-1)
        rows, slots = child
        parents = parent[child]
        of_same = self.last[:n][child] == self.last[:n][rows, parents]
        mass = np.where(of_same, blank[rows, parents], total[rows, parents]) * again[child]
        if self.scorer is not None:
            bonus = self.scorer.bonus
            mass *= np.exp(bonus[child] - bonus[rows, parents])
        given = np.zeros_like(total)
        given[child] = mass
        which, column = np.nonzero(same[child])
        extended[rows[which], parents[which], column] = 0.0
        return given

    def _keep(self, step, chosen, candidates, new_blank, new_label, extended, smallest) -> None:
        """Make the chosen of (n, K + K C) the beam."""
        n, size = new_blank.shape
        grown = chosen >= size
        growth = np.where(grown, chosen - size, 0)
        source = np.where(grown, growth // candidates.shape[1], chosen)
        token = np.take_along_axis(candidates, growth % candidates.shape[1], 1)
        token = np.where(grown, token, NO_TOKEN)
        mass = np.take_along_axis(extended.reshape(n, -1), growth, 1)

        def moved(values: np.ndarray) -> np.ndarray:
            return np.take_along_axis(values, source, 1)

        blank = np.where(grown, 0.0, moved(new_blank))
        label = np.where(grown, mass, moved(new_label))
        total = blank + label
        best = total.max(1, keepdims=True)
        weak = total < best * smallest
        divisor = np.where(best > 0, best, 1.0)
        self.blank[:n] = np.where(weak, 0.0, blank / divisor)
        self.label[:n] = np.where(weak, 0.0, label / divisor)
        with np.errstate(divide="ignore"):
            self.scale[:n] += np.log(best[:, 0])
        key, parent = moved(self.key[:n]), moved(self.parent[:n])
        self.parent[:n] = np.where(grown, key, parent)
        self.key[:n] = np.where(grown, _hash(key, token), key)
        self.last[:n] = np.where(grown, token, moved(self.last[:n]))
        self.source[step, :n], self.token[step, :n] = source, token
        if self.scorer is not None:
            self.scorer.advance(source, token)

    def results(self, frames: Frames, nbest: int) -> list[list[Prefix]]:
        """The best prefixes of each row."""
        with np.errstate(divide="ignore"):
            am = np.log(self.blank + self.label) + (self.scale + frames.certain)[:, None]
        bonus, lm, whole = np.zeros_like(am), None, np.ones(am.shape, bool)
        if self.scorer is not None:
            end, lm, whole = self.scorer.finish()
            am = am - self.scorer.bonus
            bonus = self.scorer.bonus + end
        return [
            [
                Prefix(
                    self._ids(row, slot, int(length)),
                    float(am[row, slot]),
                    float(bonus[row, slot]),
                    None if lm is None else float(lm[row, slot]),
                )
                for slot in _ranked(am[row] + bonus[row], whole[row])[:nbest]
            ]
            for row, length in enumerate(frames.lengths)
        ]

    def _ids(self, row: int, slot: int, length: int) -> tuple[int, ...]:
        """Follow a slot back to the empty prefix."""
        ids = []
        for step in range(length - 1, -1, -1):
            if (token := self.token[step, row, slot]) != NO_TOKEN:
                ids.append(int(token))
            slot = self.source[step, row, slot]
        return tuple(reversed(ids))


def _best(masses: np.ndarray, size: int) -> np.ndarray:
    """Columns (n, size) of the largest masses of each row, in any order."""
    return np.argpartition(masses, masses.shape[1] - size, axis=1)[:, -size:]


def _ranked(scores: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Slots (at least one) by falling score: the whole ones, or all where none is."""
    alive = scores > -np.inf
    legal = alive & whole if (alive & whole).any() else alive
    order = np.argsort(-scores, kind="stable")
    return order[legal[order]] if legal.any() else order[:1]


def _hash(key: np.ndarray, token: np.ndarray) -> np.ndarray:
    """Name of a prefix grown by a token; integers wrap, so equal prefixes have equal names."""
    mixed = (key ^ (token + 2).astype(np.uint64)) * _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(29))
