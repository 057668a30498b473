"""Language models inside the prefix beam search (``prefix_beam.Scorer``).

A prefix of the text has the bonus ``lm_weight * log P_LM + word_score * units + unk_score *
unknown words``, natural logarithms; at its end the end of the sentence counts too.  Sources: Hannun
et al. 2014, algorithm 1 (words are scored where they end); Ortmanns et al., "Language-Model
Look-Ahead for Large Vocabulary Speech Recognition", 1996 (here with unigrams).
"""

import math
import os

import numpy as np

from asr_dro_plugin.decoding.lm_spelling import ROOT, Lexicon, Spelling
from asr_dro_plugin.decoding.prefix_beam import Scorer
from asr_dro_plugin.decoding.weights import Weights
from asr_dro_plugin.lm.files import UNKNOWN
from asr_dro_plugin.lm.programs import import_kenlm, load_kenlm
from asr_dro_plugin.text.tokens import SPACE

LN10 = math.log(10)
START, NO_CONTEXT = 0, 1
MAX_CACHED = 1 << 22  # numbers in a table; a fuller one is begun anew with the next batch


class NGram:
    """Scores of words by state; equal histories are one state, numbered as they are met.

    Args:
        path: ARPA (plain or gzip) or KenLM's binary form.

    Raises:
        UserError: KenLM is not installed, or cannot read the file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._kenlm, self._model = import_kenlm(), load_kenlm(path)
        self.forget()

    def __contains__(self, word: str) -> bool:
        return word in self._model

    def __len__(self) -> int:
        return len(self._states)

    def forget(self) -> None:
        """Drop the states met so far; numbers given before are void."""
        start, empty = self._kenlm.State(), self._kenlm.State()
        self._model.BeginSentenceWrite(start)
        self._model.NullContextWrite(empty)
        self._states, self._ids = [start, empty], {start: START, empty: NO_CONTEXT}

    def score(self, state: int, word: str) -> tuple[float, int]:
        """Log probability of a word after a state, and the state after it."""
        after = self._kenlm.State()
        value = self._model.BaseScore(self._states[state], word, after)
        number = self._ids.setdefault(after, len(self._states))
        if number == len(self._states):
            self._states.append(after)
        return value * LN10, number

    def end(self, state: int) -> float:
        """Log probability that the sentence ends after a state."""
        return self.score(state, "</s>")[0]


class TokenScorer(Scorer):
    """A model whose units the tokens spell one by one: characters, or words that are tokens.

    ``units`` are V tuples of units; a ``<space>`` that begins the text does not count.
    """

    def __init__(self, lm: NGram, units: list[tuple[str, ...]], weights: Weights) -> None:
        self.lm, self.units = lm, units
        self.counts = np.array([len(u) for u in units])
        self.unknown = np.array([sum(u not in lm for u in some) for some in units])
        self.reweigh(weights)
        self._clear()

    def reweigh(self, weights: Weights) -> None:
        """Use other weights from the next batch on."""
        self.weights = weights
        self.most = weights.most ** max(1, int(self.counts.max()))

    def _clear(self) -> None:
        self.lm.forget()
        self.log_probs = np.full((2, len(self.units)), np.nan)
        self.after = np.zeros((2, len(self.units)), np.int64)

    def start(self, num_utterances: int, beam_size: int) -> None:
        if self.log_probs.size > MAX_CACHED:
            self._clear()
        shape = (num_utterances, beam_size)
        self.state = np.full(shape, START)
        self.bonus, self.total = np.zeros(shape), np.zeros(shape)

    def at_most(self, candidates: np.ndarray) -> np.ndarray:
        return np.array(self.most)

    def weigh(self, row: np.ndarray, slot: np.ndarray, token: np.ndarray) -> np.ndarray:
        state = self.state[row, slot]
        self._fill(state, token)
        return np.exp(self._gain(state, token))

    def advance(self, source: np.ndarray, token: np.ndarray) -> None:
        n, grown = len(source), token >= 0
        state, bonus, total = (v.take(source) for v in (self.state, self.bonus, self.total))
        before, token = state[grown], token[grown]
        bonus[grown] += self._gain(before, token)
        total[grown] += self.log_probs[before, token]
        state[grown] = self.after[before, token]
        self.state[:n], self.bonus[:n], self.total[:n] = state, bonus, total

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        states, where = np.unique(self.state, return_inverse=True)
        ends = np.array([self.lm.end(int(state)) for state in states])[where]
        ends = ends.reshape(self.state.shape)
        return self.weights.lm_weight * ends, self.total + ends, np.ones(ends.shape, bool)

    def _gain(self, state: np.ndarray, token: np.ndarray) -> np.ndarray:
        log_prob = self.log_probs[state, token]
        return self.weights.gain(log_prob, self.counts[token], self.unknown[token])

    def _fill(self, state: np.ndarray, token: np.ndarray) -> None:
        """Ask the model for the pairs that it was not asked for yet."""
        unknown = np.isnan(self.log_probs[state, token])
        if not unknown.any():
            return
        pairs = set(zip(state[unknown].tolist(), token[unknown].tolist(), strict=True))
        for one, grown in sorted(pairs):
            self.log_probs[one, grown], self.after[one, grown] = self._scored(one, grown)
        if len(self.lm) > len(self.log_probs):
            more = 2 * len(self.lm) - len(self.log_probs)
            empty = np.full((more, len(self.units)), np.nan)
            self.log_probs = np.concatenate([self.log_probs, empty])
            self.after = np.concatenate([self.after, np.zeros(empty.shape, np.int64)])

    def _scored(self, state: int, token: int) -> tuple[float, int]:
        total = 0.0
        for unit in self.units[token]:
            if unit == SPACE and state == START:
                continue
            log_prob, state = self.lm.score(state, unit)
            total += log_prob
        return total, state


class WordScorer(Scorer):
    """A word model over tokens that spell words: a word is scored where the next one begins.

    The lexicon says which words there are; an ``OpenLexicon`` allows every spelling.
    """

    def __init__(self, lm: NGram, lexicon: Lexicon, spelling: Spelling, weights: Weights) -> None:
        self.lm, self.lexicon, self.spelling = lm, lexicon, spelling
        scores = {word: lm.score(NO_CONTEXT, word)[0] for word in filter(None, lexicon.words)}
        self._unigrams = lexicon.look_ahead(scores)
        self._unknown = lm.score(NO_CONTEXT, UNKNOWN)[0]
        self.reweigh(weights)

    def reweigh(self, weights: Weights) -> None:
        """Use other weights from the next batch on.

        ``ahead`` is what the word that a node begins will get at best; its last entry is that of
        all nodes outside the lexicon's tree.
        """
        self.weights = weights
        unknown = -np.inf
        if self.lexicon.is_open:
            unknown = weights.lm_weight * self._unknown + weights.unk_score
        self.ahead = np.append(np.maximum(weights.lm_weight * self._unigrams, unknown), unknown)
        self.ahead[ROOT] = 0.0
        self._endings: dict[tuple[int, int], tuple[float, int, float]] = {}

    def start(self, num_utterances: int, beam_size: int) -> None:
        if len(self._endings) > MAX_CACHED // 16:
            self._endings.clear()
            self.lm.forget()
            self.lexicon.forget()
        shape = (num_utterances, beam_size)
        self.state, self.node = np.full(shape, START), np.full(shape, ROOT)
        self.bonus, self.total = np.zeros(shape), np.zeros(shape)

    def at_most(self, candidates: np.ndarray) -> np.ndarray:
        # Where a word ends, what it got by looking ahead is taken back.
        ends = self.spelling.starts[candidates][:, None, :]
        most = self.weights.most * np.exp(-self._look_ahead(self.node[: len(candidates)]))
        begins = np.exp(self.ahead.max())  # above 1 where an unknown word is rewarded
        return begins * np.where(ends, most[:, :, None], 1.0)

    def weigh(self, row: np.ndarray, slot: np.ndarray, token: np.ndarray) -> np.ndarray:
        node, ends = self.node[row, slot], self.spelling.starts[token]
        gain = np.zeros(len(row))
        at = ends & (node != ROOT)
        pairs = zip(self.state[row[at], slot[at]].tolist(), node[at].tolist(), strict=True)
        gain[at] = [self._ending(*pair)[2] for pair in pairs]
        child = self.lexicon.known_child(np.where(ends, ROOT, node), token)
        gain += self._look_ahead(child) - self._look_ahead(node)
        return np.exp(gain)

    def _ending(self, state: int, node: int) -> tuple[float, int, float]:
        """Log probability of the word that ends at a node, the state after it, its bonus."""
        found = self._endings.get((state, node))
        if found is None:
            word = self.lexicon.word(node)
            found = (-np.inf, state, -np.inf) if word is None else self._scored(state, word)
            self._endings[state, node] = found
        return found

    def _scored(self, state: int, word: str) -> tuple[float, int, float]:
        log_prob, after = self.lm.score(state, word)
        return log_prob, after, self.weights.gain(log_prob, 1, word not in self.lm)

    def advance(self, source: np.ndarray, token: np.ndarray) -> None:
        n, grown = len(source), np.nonzero(token >= 0)
        state, node, bonus, total = (
            values.take(source) for values in (self.state, self.node, self.bonus, self.total)
        )
        begun, ends = node[grown], self.spelling.starts[token[grown]]
        before = self._look_ahead(begun)
        for row, slot, word in zip(*(i[ends].tolist() for i in grown), begun[ends].tolist()):
            if word != ROOT:
                log_prob, after, gain = self._ending(int(state[row, slot]), word)
                total[row, slot] += log_prob
                bonus[row, slot] += gain
                state[row, slot] = after
        node[grown] = self.lexicon.child(np.where(ends, ROOT, begun), token[grown])
        bonus[grown] += self._look_ahead(node[grown]) - before
        self.state[:n], self.node[:n], self.bonus[:n], self.total[:n] = state, node, bonus, total

    def _look_ahead(self, nodes: np.ndarray) -> np.ndarray:
        """``ahead`` of nodes; -1 and the nodes after the lexicon's lie outside its tree."""
        last = len(self.ahead) - 1
        return self.ahead[np.where(nodes < 0, last, np.minimum(nodes, last))]

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # An unfinished word counts as unknown, and is not whole.
        gain, total = -self._look_ahead(self.node), self.total.copy()
        whole = np.ones(self.bonus.shape, bool)
        for place in np.ndindex(*self.bonus.shape):
            state, node = int(self.state[place]), int(self.node[place])
            if node != ROOT:
                ended = self._ending(state, node)
                whole[place] = ended[0] > -np.inf
                log_prob, state, added = ended if whole[place] else self._scored(state, UNKNOWN)
                gain[place] += added
                total[place] += log_prob
            end = self.lm.end(state)
            gain[place] += self.weights.gain(end, units=0)
            total[place] += end
        return gain, total, whole
