"""N-gram counts of a text as sorted arrays: no Python loop runs over n-grams.

An n-gram is named by its rank among those of its order, which are sorted by their words' ids; ids
follow the words' code points, so that ranks and everything made of them depend on the text alone.
Letters: L positions of the text, V words, K n-grams of an order.
"""

import os
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.lm.files import SPECIAL, read_text
from asr_dro_plugin.text.tokens import SPACE

UNKNOWN_ID, BEGIN_ID, END_ID = range(3)  # in the order of SPECIAL


@dataclass(frozen=True)
class Corpus:
    """A text as ids.

    Attributes:
        words: (V) the symbols of the ids: ``<unk> <s> </s>``, then the text's in code point order.
        ids: (L,) int32, sentence after sentence, each between ``<s>`` and ``</s>``.
    """

    words: list[str]
    ids: np.ndarray

    @property
    def num_sentences(self) -> int:
        """How often a sentence begins."""
        return int((self.ids == BEGIN_ID).sum())

    @property
    def num_tokens(self) -> int:
        """Words (characters for unit char) without the sentences' ends."""
        return len(self.ids) - 2 * self.num_sentences


@dataclass(frozen=True)
class Counts:
    """The n-grams of one order, in the order of their ranks.

    Attributes:
        first: (K,) where each begins in the text for the first time (0 in order 1, whose ranks
            are the words' ids).
        prefix: (K,) rank of its first n-1 words among the n-grams of order n-1.
        suffix: (K,) the same of its last n-1 words.
        count: (K,) how often it occurs.
        adjusted: (K,) what Kneser-Ney takes for it: ``count`` in the highest order and for
            n-grams that begin with ``<s>``, else the number of different words before it.
    """

    first: np.ndarray
    prefix: np.ndarray
    suffix: np.ndarray
    count: np.ndarray
    adjusted: np.ndarray


def symbols_of(sentence: str, unit: str) -> list[str]:
    """What a sentence is counted in: words, or characters with ``<space>`` between words."""
    if unit == "word":
        return sentence.split(" ")
    return [SPACE if char == " " else char for char in sentence]


def encode(path: str | os.PathLike, unit: str) -> Corpus:
    """A collected text as ids: one sentence a line, words separated by single spaces.

    ``unit`` is ``word`` or ``char``.
    """
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__
    known.update({word: index for index, word in enumerate(SPECIAL)})
    ids = array("i")
    for sentence in read_text(path):
        symbols = sentence.split(" ") if unit == "word" else sentence
        ids.append(BEGIN_ID)
        ids.extend(map(known.__getitem__, symbols))
        ids.append(END_ID)
    words = [*SPECIAL, *sorted(list(known)[len(SPECIAL) :])]
    new_ids = np.empty(len(words), np.int32)
    new_ids[[known[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    if unit == "char":
        words = [SPACE if word == " " else word for word in words]
    return Corpus(words, new_ids[np.frombuffer(ids, np.int32)])


def count_ngrams(corpus: Corpus, order: int) -> Iterator[Counts]:
    """The counts of order 1, 2 … ``order``; fewer where the text has no longer n-grams.

    One more order is counted before one is given out: its n-grams are the continuations that the
    adjusted counts of the lower are made of.
    """
    counted = _raw_counts(corpus, order)
    lower, length = next(counted), 1
    for length, higher in enumerate(counted, 2):
        yield _adjusted(corpus, lower, length - 1, higher.suffix)
        lower = higher
    yield _unpredicted(lower) if length == 1 else lower


def word_ids(corpus: Corpus, first: np.ndarray, order: int) -> np.ndarray:
    """(K, n) the words of n-grams, n > 1, that begin at these positions."""
    return corpus.ids[first[:, None] + np.arange(order)]


def _raw_counts(corpus: Corpus, order: int) -> Iterator[Counts]:
    """Counts whose ``adjusted`` are the raw ones."""
    ids, size = corpus.ids.astype(np.int64), len(corpus.words)
    count, nowhere = np.bincount(ids, minlength=size), np.zeros(size, np.int64)
    yield Counts(nowhere, nowhere, nowhere, count, count)
    ranks = ids.copy()  # of the n-gram that begins at each position
    begins = np.arange(len(ids))
    for length in range(2, order + 1):
        begins = begins[begins + length <= len(ids)]
        begins = begins[ids[begins + length - 1] != BEGIN_ID]  # n-grams end with their sentence
        if not len(begins):
            return
        keys = ranks[begins] * size + ids[begins + length - 1]
        keys, at, inverse, count = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        first = begins[at]
        yield Counts(first, keys // size, ranks[first + 1], count, count)
        ranks[begins] = inverse


def _adjusted(corpus: Corpus, lower: Counts, order: int, suffixes: np.ndarray) -> Counts:
    """``lower`` with the counts that Kneser-Ney takes below the highest order."""
    continuations = np.bincount(suffixes, minlength=len(lower.count))
    if order == 1:
        return _unpredicted(replace(lower, adjusted=continuations))
    begins_sentence = corpus.ids[lower.first] == BEGIN_ID  # nothing can stand before it
    return replace(lower, adjusted=np.where(begins_sentence, lower.count, continuations))


def _unpredicted(unigrams: Counts) -> Counts:
    """``<s>`` is given, never predicted."""
    adjusted = unigrams.adjusted.copy()
    adjusted[BEGIN_ID] = 0
    return replace(unigrams, adjusted=adjusted)
