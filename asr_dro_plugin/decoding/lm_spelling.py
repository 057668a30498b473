"""How a recogniser's tokens spell a language model's units, and which words they can spell.

The units of a word model are words; tokens are characters with ``<space>`` between words (char),
pieces whose ``▁`` begins a word (bpe), or words.  The units of a character model are characters
and ``<space>``.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.tokens import BLANK, SOS_EOS, SPACE, UNK, WORD_START

ROOT = 0
NO_NODE = -1


@dataclass(frozen=True)
class Spelling:
    """What each of V tokens adds to the text.

    Args:
        texts: the characters of each token; "" for one that only parts words.
        starts: (V) bool, tokens before which a word ends.
        is_text: (V) bool, False for blank, tags and ``<sos/eos>``.
    """

    texts: tuple[str, ...]
    starts: np.ndarray
    is_text: np.ndarray

    @classmethod
    def of(cls, tokens: Sequence[str], token_type: str, blank_id: int) -> "Spelling":
        """The spelling of a token list of type char, bpe or word."""
        starts = [
            token_type == "word" or token == SPACE or token.startswith(WORD_START)
            for token in tokens
        ]
        texts = ["" if token == SPACE else token.removeprefix(WORD_START) for token in tokens]
        is_text = [
            index != blank_id and token not in (BLANK, SOS_EOS) and not split_tag(token)[0]
            for index, token in enumerate(tokens)
        ]
        return cls(tuple(texts), np.array(starts), np.array(is_text))

    def characters(self) -> frozenset[str]:
        """Characters that the tokens can write."""
        texts = (t for t, use in zip(self.texts, self.is_text, strict=True) if use and t != UNK)
        return frozenset("".join(texts))

    def units(self, token: int) -> tuple[str, ...]:
        """Units of a character model for one token; a word's start is a ``<space>`` before it."""
        text = self.texts[token]
        letters = (text,) if text == UNK else tuple(text)
        return ((SPACE,) if self.starts[token] else ()) + letters


class Lexicon:
    """A tree of the words that may be found, walked by tokens: all segmentations of a word.

    ``words`` has the word that ends at each node, None within words; ``left_out`` are the words
    that the tokens cannot spell.

    Raises:
        UserError: no word can be spelled.
    """

    is_open = False

    def __init__(self, words: Iterable[str], spelling: Spelling) -> None:
        self.spelling = spelling
        self.words: list[str | None] = [None]
        self._parents: list[int] = [ROOT]
        self._letters: list[str] = [""]
        self.left_out: list[str] = []
        edges = self._grow(sorted(set(words)))
        self.num_words = sum(word is not None for word in self.words)
        refuse_none(self.num_words, self.left_out)
        keys = np.array([edge[0] for edge in edges], np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._children = np.array([edge[1] for edge in edges], np.int64)[order]

    def word(self, node: int) -> str | None:
        """The word that ends here, None within words."""
        return self.words[node]

    def child(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Node after each node and token, -1 where no word goes on so; see ``known_child``."""
        return self.known_child(nodes, tokens)

    def known_child(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Node after each node and token in the tree of the words, -1 outside it."""
        keys = nodes.astype(np.int64) * len(self.spelling.texts) + tokens
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._children[place], NO_NODE)

    def spelled(self, node: int) -> str:
        """The letters from the root to a node."""
        letters = []
        while node != ROOT:
            letters.append(self._letters[node])
            node = self._parents[node]
        return "".join(reversed(letters))

    def forget(self) -> None:
        """Nothing here was met in a search."""

    def look_ahead(self, scores: dict[str, float]) -> np.ndarray:
        """The best score of a word below each node; 0 at the root, where no word has begun."""
        best = np.full(len(self.words), -np.inf)
        for node in range(len(self.words) - 1, ROOT, -1):  # children have larger numbers
            word = self.words[node]
            own = -np.inf if word is None else scores[word]
            best[node] = max(best[node], own)
            best[self._parents[node]] = max(best[self._parents[node]], best[node])
        best[ROOT] = 0.0
        return best

    def _grow(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Add sorted words; edges (key, child)."""
        inner, first = self._pieces(False), self._pieces(True)
        separators = first.pop("", [])
        longest = max(map(len, [*inner, *first, ""]))
        edges = [(token, ROOT) for token in separators]
        path, before = [ROOT], ""
        for word in words:
            if not _can_spell(word, inner, first, bool(separators), longest):
                self.left_out.append(word)
                continue
            del path[len(os.path.commonprefix([before, word])) + 1 :]
            for end in range(len(path), len(word) + 1):
                edges += self._new_node(word[:end], path, inner, first, longest)
            self.words[path[-1]] = before = word
        return edges

    def _new_node(self, prefix, path, inner, first, longest) -> list[tuple[int, int]]:
        """A node for a prefix; edges from every prefix of it that one token is short of it."""
        node, size = len(self.words), len(self.spelling.texts)
        self.words.append(None)
        self._parents.append(path[-1])
        self._letters.append(prefix[-1])
        edges = [(ROOT * size + token, node) for token in first.get(prefix, ())]
        for begin in range(max(0, len(prefix) - longest), len(prefix)):
            for token in inner.get(prefix[begin:], ()):
                edges.append((path[begin] * size + token, node))
        path.append(node)
        return edges

    def _pieces(self, starts: bool) -> dict[str, list[int]]:
        """Text -> tokens, of those that begin a word or of those within."""
        found: dict[str, list[int]] = {}
        for token, text in enumerate(self.spelling.texts):
            if self.spelling.is_text[token] and self.spelling.starts[token] == starts:
                found.setdefault(text, []).append(token)
        return found


class OpenLexicon(Lexicon):
    """Every spelling is a word: the tree of the known words, grown by what a search has tried.

    The nodes of words that the language model knows have the lower numbers.
    """

    is_open = True

    def __init__(self, words: Iterable[str], spelling: Spelling) -> None:
        super().__init__(words, spelling)
        self.forget()

    def forget(self) -> None:
        """Begin anew; nodes that are not of the known words are void."""
        del self._parents[len(self.words) :], self._letters[len(self.words) :]
        self._nodes: dict[tuple[int, int], int] = {}

    def word(self, node: int) -> str:
        """What is spelled up to this node."""
        return self.spelled(node)

    def child(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Node after each node and token; new ones are made."""
        children = self.known_child(nodes, tokens)
        for place in np.flatnonzero(children == NO_NODE).tolist():
            children[place] = self._child(int(nodes[place]), int(tokens[place]))
        return children

    def _child(self, node: int, token: int) -> int:
        child = self._nodes.setdefault((node, token), len(self._letters))
        if child == len(self._letters):
            self._parents.append(node)
            self._letters.append(self.spelling.texts[token])
        return child


def refuse_none(spelled: object, left_out: Sequence[str]) -> None:
    """Refuse a lexicon of which not one word can be spelled."""
    if not spelled:
        raise UserError(
            "No word of the language model can be spelled in the model's tokens (first: "
            f"{' '.join(left_out[:3])}). It is of another alphabet, or normalised otherwise "
            "(text_norm)."
        )


def _can_spell(word: str, inner: dict, first: dict, can_part: bool, longest: int) -> bool:
    """Whether tokens, the first of which begins a word, make up ``word``."""
    if not word:
        return False
    reached = {len(text) for text in first if word.startswith(text)}
    reached |= {0} if can_part or not first else set()
    for end in range(1, len(word) + 1):
        begins = range(max(0, end - longest), end)
        if any(begin in reached and word[begin:end] in inner for begin in begins):
            reached.add(end)
    return len(word) in reached
