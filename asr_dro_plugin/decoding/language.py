"""The language of an utterance: left to the model, restricted to some, or given from outside.

A model with language identification writes a tag such as ``[eng]`` as its first label.  Which one
that is has a probability of its own under CTC, the sum over all frames at which the first label
may begin of "nothing before it, then the tag":

    P(first label = g) = sum_t  p_t(g) prod_{s<t} p_s(blank)

The likeliest tag is the decided language.  Symbols that only part words count as blank here, for
sentencepiece writes one before the tag.  Afterwards the tags' columns are added to the blank's, so
that a search sees text alone, and the decided tag is put in front of what it found.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.text.normalizers import split_tag

FREE, FORCED = "free", "forced"
SPACES = ("<space>", "▁")
LEAST_VOTE = np.log(1e-3)  # what a piece gives a language at least


@dataclass(frozen=True)
class LanguageChoice:
    """Which languages may be found, of a model with these V tokens.

    Args:
        rule: ``free``, ``forced`` (each utterance's is given) or ISO codes with spaces between.

    Raises:
        UserError: a language for which the model has no tag.
    """

    rule: str
    tokens: Sequence[str]
    blank_id: int

    def __post_init__(self) -> None:
        if self.rule == FREE:
            return
        if not self.tags:
            logging.warning("The model has no language tags: lang %s is ignored.", self.rule)
        elif self.rule != FORCED:
            for code in self.rule.split():
                self._check(code)

    @cached_property
    def tags(self) -> dict[str, int]:
        """Language -> column of its tag."""
        split = ((split_tag(token), index) for index, token in enumerate(self.tokens))
        return {lang: index for (lang, rest), index in split if lang and not rest}

    @property
    def is_free(self) -> bool:
        """Whether every language of the model may be found (also where it has no tags)."""
        return self.rule == FREE or not self.tags

    @property
    def only(self) -> str | None:
        """The one language that the rule leaves, where it leaves one alone."""
        is_one = self.rule not in (FREE, FORCED) and " " not in self.rule
        return self.rule if is_one else None

    def _check(self, code: str | None) -> None:
        if code not in self.tags:
            known = " ".join(sorted(self.tags))
            raise UserError(
                f"The model knows no language '{code}'.{suggestion(str(code), self.tags)} "
                f"Known: {known}."
            )

    def check_forced(self, langs: Collection[str]) -> None:
        """Refuse a given language without a tag, where the given ones are forced."""
        if self.rule == FORCED and self.tags:
            for code in sorted(set(langs)):
                self._check(code)

    def check_named(self, langs: Collection[str], where: str) -> None:
        """Refuse languages with settings of their own, ``where``, that can never be decided on."""
        unknown = sorted(set(langs) - self.tags.keys()) if self.tags else []
        if unknown:
            raise UserError(
                f"{where} names '{unknown[0]}', which the model does not know."
                f"{suggestion(unknown[0], self.tags)} Known: {' '.join(sorted(self.tags))}."
            )
        if langs and not self.tags and self.rule != FORCED:
            raise UserError(
                f"{where} needs each utterance's language, and the model has no language tags. "
                "Set lang forced (the data's utt2lang), or delete it."
            )

    def allowed(self, num: int, langs: Sequence[str | None] | None) -> np.ndarray:
        """Which tags (in the order of ``tags``) each utterance may have, (num, G) bool.

        The given ``langs`` are read where the rule is forced.
        """
        codes = list(self.tags)
        if self.is_free:
            return np.ones((num, len(codes)), bool)
        if self.rule != FORCED:
            row = [code in self.rule.split() for code in codes]
            return np.tile(row, (num, 1))
        if langs is None or None in langs:
            raise UserError(
                "lang is forced, but the language of an utterance is not given. "
                "Add utt2lang to the data, or set lang free."
            )
        for code in dict.fromkeys(langs):
            self._check(code)
        return np.array([[code == lang for code in codes] for lang in langs]).reshape(num, -1)

    def decide(
        self, log_probs: np.ndarray, lengths: np.ndarray, langs: Sequence[str | None] | None = None
    ) -> np.ndarray | None:
        """The tag's column of each utterance (B,), None of a model without tags.

        Args:
            log_probs, lengths: (B, T, V) and (B,).
            langs: the given languages, where the rule is forced.
        """
        if not self.tags:
            return None
        columns = np.fromiter(self.tags.values(), int)
        scores = self.scores(log_probs, lengths)
        scores[~self.allowed(len(log_probs), langs)] = -np.inf
        if not len(scores):
            return np.zeros(0, int)
        best = np.where(np.isneginf(scores).all(1), self.allowed(len(scores), langs).argmax(1),
                        scores.argmax(1))  # fmt: skip
        return columns[best]

    def named(
        self, tags: np.ndarray | None, langs: Sequence[str | None] | None, num: int
    ) -> list[str | None]:
        """The language of each of ``num`` utterances: the decided tag's, else the given one.

        Args:
            tags: ``decide``'s.
            langs: the given languages, which a model without tags has to go by.
        """
        if tags is None:
            return list(langs) if langs is not None else [None] * num
        codes = {column: lang for lang, column in self.tags.items()}
        return [codes[int(tag)] for tag in tags]

    def decide_over(self, pieces: Sequence[np.ndarray]) -> str | None:
        """The one language of a recording, from the log probabilities (T, V) of its pieces.

        Each piece has a vote as heavy as it is long: the logarithm of what it gives each allowed
        language, bounded below, so that none is outvoted by one piece alone.  None where there is
        nothing to decide: no tags, one language, or each utterance's is given.
        """
        votes = [self.vote(piece) for piece in pieces if len(piece)]
        return self.of_most_votes(sum(votes)) if votes and votes[0] is not None else None

    def vote(self, piece: np.ndarray) -> np.ndarray | None:
        """One piece's votes (A,) for the allowed languages; None where nothing is to be decided."""
        if self.rule == FORCED or not self.tags or self.only:
            return None
        allowed = self.allowed(1, None)[0]
        scores = self.scores(np.asarray(piece)[None], np.array([len(piece)]))[0, allowed]
        total = np.logaddexp.reduce(scores)
        if not np.isfinite(total):
            return np.zeros_like(scores)
        return len(piece) * np.maximum(scores - total, LEAST_VOTE)

    def of_most_votes(self, votes: np.ndarray) -> str:
        """The allowed language with the most of the sum of ``vote``."""
        allowed = self.allowed(1, None)[0]
        return [code for code, may in zip(self.tags, allowed, strict=True) if may][votes.argmax()]

    def scores(self, log_probs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log probability (B, G) that the first label is each tag."""
        spaces = [index for index, token in enumerate(self.tokens) if token in SPACES]
        silent = log_probs[:, :, [self.blank_id, *spaces]]
        nothing = np.logaddexp.reduce(silent, axis=-1).astype(float)
        before = np.zeros_like(nothing)
        before[:, 1:] = np.cumsum(nothing, axis=1)[:, :-1]
        inside = np.arange(log_probs.shape[1]) < lengths[:, None]
        begins = np.where(inside, before, -np.inf)[:, :, None]
        tags = log_probs[:, :, list(self.tags.values())]
        return np.logaddexp.reduce(begins + tags, axis=1)

    def without_tags(self, log_probs: np.ndarray) -> np.ndarray:
        """Log probabilities whose blank holds the tags' mass and whose tags have none."""
        return fold(log_probs, list(self.tags.values()), self.blank_id)


def fold(
    log_probs: np.ndarray, columns: Sequence[int], blank_id: int, frames: np.ndarray | None = None
) -> np.ndarray:
    """A copy of log probabilities (B, T, V) in which the mass of ``columns`` belongs to the blank.

    ``frames`` (B, T) bool says where to do it; None for everywhere.
    """
    folded = log_probs.copy()
    where = np.ones(log_probs.shape[:2], bool) if frames is None else frames
    rows = folded[where]
    rows[:, blank_id] = np.logaddexp.reduce(rows[:, [blank_id, *columns]], axis=-1)
    rows[:, list(columns)] = -np.inf
    folded[where] = rows
    return folded


def leading_spaces(
    log_probs: np.ndarray, lengths: np.ndarray, tokens: Sequence[str], blank_id: int
) -> np.ndarray:
    """Frames (B, T) before the first one whose likeliest symbol is neither blank nor a space.

    A language model's text begins with a word, the model's with a tag and a space: in these frames
    a space says nothing.  sentencepiece's ``▁`` may be a word's first piece and is left alone.
    """
    silent = [blank_id, *(i for i, token in enumerate(tokens) if token == "<space>")]
    spoken = ~np.isin(log_probs.argmax(-1), silent)
    spoken &= np.arange(log_probs.shape[1]) < lengths[:, None]
    return np.cumsum(spoken, axis=1) == 0
