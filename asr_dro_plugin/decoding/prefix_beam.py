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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath, arrays_of
from asr_dro_plugin.decoding.greedy import tagged
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.search_frames import Frames, search_frames
from asr_dro_plugin.decoding.weights import LanguageWeights
from asr_dro_plugin.emissions import Emission

NO_TOKEN = -1
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing, 2^64 / golden ratio


class Scorer(Protocol):
    """A language model that weighs prefixes while they grow; arrays are (N, K) by slot."""

    bonus: np.ndarray  # natural logarithm that each prefix has got so far

    def start(self, num_utterances: int, beam_size: int) -> None:
        """Begin a batch: every slot holds the empty prefix."""

    def at_most(self, candidates: np.ndarray) -> np.ndarray:
        """Factors (n, K, C), or fewer axes, above which ``weigh`` raises no growth's mass."""

    def weigh(self, row: np.ndarray, slot: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Factors (M,) for M prefixes, each grown by a token."""

    def advance(self, source: np.ndarray, token: np.ndarray) -> None:
        """The slots of the first n utterances are others now.

        Args:
            source: (n, K) which slot each was, counted through all rows.
            token: (n, K) what it has grown by, -1 for nothing.
        """

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the text's end adds to the bonus, the model's log probability, and which are whole.

        All (N, K); a prefix that is not whole is a result only where none is.
        """


@dataclass(frozen=True)
class BeamDecoder(AbsDecoder):
    """The prefixes with most probability over all their alignments.

    Args:
        language: which tags may be found; where it is free, and no blank is penalised, a tag is a
            token like any other.
        beam_size: prefixes kept in a frame.
        beam_size_token: likeliest tokens of a frame that may follow; None for all.
        beam_threshold: natural logs behind the best at which a prefix is dropped.
        blank_threshold: frames with a likelier blank only part what is around them; 1: exact.
        nbest: hypotheses an utterance.
        weights: whose ``blank_penalty`` counts.
    """

    language: LanguageChoice
    beam_size: int
    beam_size_token: int | None
    beam_threshold: float
    blank_threshold: float
    nbest: int
    weights: LanguageWeights = LanguageWeights()

    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        log_probs, lengths = arrays_of(emission)
        if self.language.is_free and not self.weights.penalise:
            return self.searched(log_probs, lengths, emission.blank_id)
        tags = self.language.decide(log_probs, lengths, langs)
        penalty = self.weights.penalties(self.language.named(tags, langs, len(log_probs)))
        text = self.language.without_tags(log_probs)
        return tagged(self.searched(text, lengths, emission.blank_id, penalty=penalty), tags)

    def searched(
        self,
        log_probs: np.ndarray,
        lengths: np.ndarray,
        blank_id: int,
        scorer: Scorer | None = None,
        penalty: np.ndarray | float = 0.0,
    ) -> list[list[TokenPath]]:
        """Paths of log probabilities (B, T, V) with these lengths, weighed by ``scorer``.

        ``penalty`` is as ``search_frames`` takes it.
        """
        frames = search_frames(
            log_probs, lengths, blank_id, self.beam_size_token, self.blank_threshold, penalty
        )
        return search(frames, self.beam_size, self.nbest, self.beam_threshold, scorer)


def search(
    frames: Frames,
    beam_size: int,
    nbest: int,
    beam_threshold: float = np.inf,
    scorer: Scorer | None = None,
) -> list[list[TokenPath]]:
    """The n best prefixes of each utterance of the batch, best first, in the batch's order.

    Args:
        beam_size: K, prefixes kept in a frame.
        nbest: how many to give; fewer where the search found fewer.
        beam_threshold: natural logs behind the best at which a prefix is dropped.
    """
    beam = _Beam(len(frames.lengths), frames.log_probs.shape[1], beam_size, scorer)
    smallest = np.exp(-beam_threshold)
    for step in range(frames.log_probs.shape[1]):
        beam.step(frames, step, int((frames.lengths > step).sum()), smallest)
    found: list[list[TokenPath]] = [[] for _ in frames.order]
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
        new_label += self._from_parents(blank, total, again, same, extended)
        self._keep(step, candidates, new_blank, new_label, extended, smallest)

    def _from_parents(self, blank, total, again, same, extended) -> np.ndarray:
        """Mass (n, K) that prefixes of the beam get from their parents in the beam.

        The same growth among the candidates is cleared, or the prefix would stand twice.
        """
        n, alive = len(total), total > 0
        family = self.parent[:n, :, None] == self.key[:n, None, :]
        family &= alive[:, :, None] & alive[:, None, :]
        rows, slots, parents = np.nonzero(family)  # a prefix has one parent
        of_same = self.last[rows, slots] == self.last[rows, parents]
        mass = np.where(of_same, blank[rows, parents], total[rows, parents]) * again[rows, slots]
        if self.scorer is not None:
            bonus = self.scorer.bonus
            mass *= np.exp(bonus[rows, slots] - bonus[rows, parents])
        given = np.zeros_like(total)
        given[rows, slots] = mass
        which, column = np.nonzero(same[rows, slots])
        extended[rows[which], parents[which], column] = 0.0
        return given

    def _keep(self, step, candidates, new_blank, new_label, extended, smallest) -> None:
        """Make the best of the prefixes (n, K) and of their growths (n, K, C) the beam."""
        stay = new_blank + new_label
        n, size = stay.shape
        floor = np.maximum(stay.min(1), stay.max(1) * smallest)
        row, slot, token, mass = self._growths(extended, candidates, floor)
        first = np.searchsorted(row, np.arange(n))  # growths come row by row
        place = np.arange(len(row)) - first[row]
        width = size + int(place.max(initial=-1)) + 1
        masses = np.tile(-np.arange(1.0, width + 1), (n, 1))  # unequal: ties make selection slow
        masses[:, :size] = stay
        masses[row, size + place] = mass
        chosen = np.argpartition(masses, masses.shape[1] - size, axis=1)[:, -size:]
        mass = np.take_along_axis(masses, chosen, 1)
        grown = (chosen >= size) & (mass > 0)
        source = np.where(chosen >= size, 0, chosen)
        growth = (first[:, None] + chosen - size)[grown]
        source[grown], new = slot[growth], np.full(chosen.shape, NO_TOKEN)
        new[grown] = token[growth]
        flat = source + np.arange(n)[:, None] * size
        blank = np.where(grown | (mass == 0), 0.0, new_blank.take(flat))
        self._divide(blank, np.where(grown, mass, mass - blank), smallest)
        key, parent = self.key[:n].take(flat), self.parent[:n].take(flat)
        self.parent[:n] = np.where(grown, key, parent)
        self.key[:n] = np.where(grown, _hash(key, new), key)
        self.last[:n] = np.where(grown, new, self.last[:n].take(flat))
        self.source[step, :n], self.token[step, :n] = source, new
        if self.scorer is not None:
            self.scorer.advance(flat, new)

    def _growths(self, extended, candidates, floor) -> tuple[np.ndarray, ...]:
        """Row, slot, token and mass of what gets above ``floor``, row by row."""
        most = extended
        if self.scorer is not None:
            most = extended * self.scorer.at_most(candidates)
        row, slot, column = np.nonzero(most > floor[:, None, None])
        token, mass = candidates[row, column], extended[row, slot, column]
        if self.scorer is not None:
            mass = mass * self.scorer.weigh(row, slot, token)
            kept = mass > floor[row]
            row, slot, token, mass = row[kept], slot[kept], token[kept], mass[kept]
        return row, slot, token, mass

    def _divide(self, blank: np.ndarray, label: np.ndarray, smallest: float) -> None:
        """Scale the masses (n, K) so that the best is 1, and empty the slots far behind it."""
        n, total = len(blank), blank + label
        best = total.max(1, keepdims=True)
        weak = total < best * smallest
        divisor = np.where(best > 0, best, 1.0)
        self.blank[:n] = np.where(weak, 0.0, blank / divisor)
        self.label[:n] = np.where(weak, 0.0, label / divisor)
        with np.errstate(divide="ignore"):
            self.scale[:n] += np.log(best[:, 0])

    def results(self, frames: Frames, nbest: int) -> list[list[TokenPath]]:
        """The best prefixes of each row; the score is what the search ranks by."""
        with np.errstate(divide="ignore"):
            am = np.log(self.blank + self.label) + (self.scale + frames.certain)[:, None]
        bonus, lm, whole = np.zeros_like(am), None, np.ones(am.shape, bool)
        if self.scorer is not None:
            end, lm, whole = self.scorer.finish()
            am = am - self.scorer.bonus
            bonus = self.scorer.bonus + end
        return [
            [
                TokenPath(
                    self._ids(row, slot, int(length)),
                    float(am[row, slot] + bonus[row, slot]),
                    float(am[row, slot]),
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
