"""Prefix beam search with an n-gram: the tag first, then text under the language model.

The text of a language model holds no language tag and begins with a word.  So the tag is decided
from the frames, its columns and the space after it are given to the blank, and both are put back
in front of what was found.

Which search: flashlight-text's, where words of a lexicon are spelled in characters, for there it is
the faster one (ours takes 1.5 times as long at the same WER, ``benchmarks/bench_beam.py``); ours
for pieces (bpe) and words as tokens, for text without a lexicon and for n-grams over characters,
none of which flashlight-text can do with a score for each unit.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath, arrays_of
from asr_dro_plugin.decoding.flashlight import FlashlightSearch, import_flashlight
from asr_dro_plugin.decoding.language import LanguageChoice, fold, leading_spaces
from asr_dro_plugin.decoding.lm_scorers import NGram, TokenScorer, WordScorer
from asr_dro_plugin.decoding.lm_spelling import Lexicon, OpenLexicon, Spelling
from asr_dro_plugin.decoding.prefix_beam import BeamDecoder
from asr_dro_plugin.decoding.weights import LanguageWeights, Weights
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.files import JOINT, LmFiles, check_unit, find_lm, lm_names
from asr_dro_plugin.lm.programs import import_kenlm
from asr_dro_plugin.text.tokens import SPACE


class LmDecoder(AbsDecoder):
    """The likeliest text under both models: acoustic log probability plus the n-gram's bonus.

    ``language`` decides the tag; ``models`` are the searches, by language.
    """

    def __init__(self, language: LanguageChoice, models: "LanguageModels") -> None:
        self.language, self.models = language, models
        if self.language.tags and self.language.rule != "forced":
            allowed = self.language.allowed(1, None)[0]
            tags = list(self.language.tags)
            models.check([lang for lang, may in zip(tags, allowed, strict=True) if may])

    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        log_probs, lengths = arrays_of(emission)
        tags = self.language.decide(log_probs, lengths, langs)
        text, heads = self._text(log_probs, lengths, tags)
        found: list[list[TokenPath]] = [[] for _ in heads]
        for (lang, weights), rows in self._by_search(tags, langs, len(heads)).items():
            search = self.models.search(lang, weights)
            paths = search(text[rows], lengths[rows], weights.blank_penalty)
            for row, of_row in zip(rows, paths, strict=True):
                found[row] = [_behind(heads[row], path) for path in of_row]
        return found

    def _text(self, log_probs, lengths, tags) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        """Frames without tags, and the ids that stand before each text."""
        blank_id, tokens = self.language.blank_id, self.language.tokens
        no_text = ~self.models.spelling.is_text
        no_text[blank_id] = False
        if tags is None:
            text = log_probs.copy()
            text[:, :, no_text] = -np.inf
            return text, [()] * len(log_probs)
        text = self.language.without_tags(log_probs)
        spaces = [tokens.index(SPACE)] if SPACE in tokens else []
        leading = leading_spaces(text, lengths, tokens, blank_id)
        has_space = (leading & np.isin(text.argmax(-1), spaces)).any(1)
        text = fold(text, spaces, blank_id, leading)
        text[:, :, no_text] = -np.inf
        heads = [
            (int(tag), *(spaces if spaced else ()))
            for tag, spaced in zip(tags, has_space, strict=True)
        ]
        return text, heads

    def _by_search(self, tags, langs, num: int) -> dict[tuple[str | None, Weights], list[int]]:
        """Rows by the language whose model they need (None: the joint one) and by its weights."""
        names = self.language.named(tags, langs, num)
        is_joint = self.models.config["lm"] == JOINT
        if not is_joint:
            if None in names:
                raise UserError(
                    "lm is language, but the model has no language tags and the language of an "
                    "utterance is not given. Add utt2lang to the data, or set lm joint."
                )
            self.models.check(sorted(set(names)))
        rows: dict[tuple[str | None, Weights], list[int]] = {}
        for row, lang in enumerate(names):
            key = None if is_joint else lang, self.models.weights[lang]
            rows.setdefault(key, []).append(row)
        return rows


def _behind(head: tuple[int, ...], path: TokenPath) -> TokenPath:
    """The path with the ids of ``head`` before it; no space stands before nothing."""
    ids = (*head, *path.ids) if path.ids else head[:1]
    return replace(path, ids=ids)


@dataclass(frozen=True)
class Coverage:
    """Which units of a language model (words, or symbols of a character model) cannot be written.

    ``left_out`` are those that the recogniser's tokens cannot write.
    """

    name: str
    num_units: int
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        share = 100 * len(self.left_out) / max(1, self.num_units)
        return (
            f"language model {self.name}: {len(self.left_out)} of {self.num_units} units "
            f"({share:.1f} %) cannot be written in the model's tokens "
            f"(first: {' '.join(self.left_out[:5])})"
        )


@dataclass(frozen=True)
class FusedSearch:
    """Our own prefix beam search with a language model inside; called as ``FlashlightSearch``."""

    beam: BeamDecoder
    blank_id: int
    scorer: TokenScorer | WordScorer

    def __call__(
        self, log_probs: np.ndarray, lengths: np.ndarray, penalty: float = 0.0
    ) -> list[list[TokenPath]]:
        return self.beam.searched(log_probs, lengths, self.blank_id, self.scorer, penalty)

    def reweigh(self, weights: Weights) -> None:
        self.scorer.reweigh(weights)


class LanguageModels:
    """Searches by language.

    Args:
        config: ``read_decode_config``'s, of mode lm.
        beam: our own search with its settings.
        token_type: char, bpe or word, of the V tokens.
        strict: whether a unit that cannot be written is an error.

    Attributes:
        coverage: one entry for every model loaded so far.
        weights: the joint ones and those of languages that have their own; may be replaced.

    Raises:
        UserError: the model asked for is not there, or is of another unit.
    """

    def __init__(
        self,
        lm_dir: str | os.PathLike,
        config: Mapping,
        beam: BeamDecoder,
        tokens: Sequence[str],
        token_type: str,
        strict: bool = False,
    ) -> None:
        self.lm_dir, self.config, self.beam, self.strict = lm_dir, config, beam, strict
        self.tokens, self.token_type = tuple(tokens), token_type
        self.blank_id = beam.language.blank_id
        self.spelling = Spelling.of(tokens, token_type, self.blank_id)
        self.coverage: list[Coverage] = []
        self._files: dict[str, LmFiles] = {}
        self.weights = LanguageWeights.of(config)
        self._searches: dict[str, FlashlightSearch | FusedSearch] = {}
        self._set_to: dict[str, Weights] = {}  # each search
        self._warned: set[str] = set()
        if config["lm"] == JOINT:
            self.search(None)
        elif self._in_flashlight:
            import_flashlight()
        else:
            import_kenlm()

    def check(self, langs: Sequence[str]) -> None:
        """Refuse, before any decoding, languages that have neither a model nor a joint one."""
        if self.config["lm"] == JOINT:
            return
        there = set(lm_names(self.lm_dir))
        lacking = sorted(set(langs) - there - self._warned)
        self._find([lang for lang in langs if lang in there])
        if lacking:
            self._warned.update(lacking)
            self._find([JOINT] if JOINT in there else lacking[:1])
            logging.warning(
                "%s has no language model of its own for %s: the joint one serves.",
                self.lm_dir, " ".join(lacking),
            )  # fmt: skip

    def search(
        self, lang: str | None, weights: Weights | None = None
    ) -> FlashlightSearch | FusedSearch:
        """The search under the model for a language, with these weights or the language's."""
        name, weights = self.name_of(lang), weights or self.weights[lang]
        if name not in self._searches:
            self._find([name])
            self._searches[name] = self._build(name)
        if self._set_to.get(name) != weights:
            self._searches[name].reweigh(weights)
            self._set_to[name] = weights
        return self._searches[name]

    def name_of(self, lang: str | None) -> str:
        """Which model serves a language."""
        return lang if self.config["lm"] != JOINT and lang in self._files else JOINT

    def _find(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._files:
                files = find_lm(self.lm_dir, name)
                check_unit(files, self.config["lm_unit"])
                self._files[name] = files

    @property
    def _in_flashlight(self) -> bool:
        words = self.config["lm_unit"] == "word" and self.config["lexicon"]
        return words and self.token_type == "char" and SPACE in self.tokens

    def _build(self, name: str) -> FlashlightSearch | FusedSearch:
        files, spelling = self._files[name], self.spelling
        is_char = self.config["lm_unit"] == "char"
        if is_char or not self.config["lexicon"]:
            self._note_characters(name)
        elif self._in_flashlight:
            found = FlashlightSearch(files, self.tokens, spelling, self.blank_id, self.config)
            self._note(name, found.num_words + len(found.left_out), found.left_out)
            return found
        lm, weights = NGram(files.model), self.weights[name]
        if is_char:
            is_text = enumerate(spelling.is_text)
            units = [spelling.units(token) if use else () for token, use in is_text]
            return FusedSearch(self.beam, self.blank_id, TokenScorer(lm, units, weights))
        kind = Lexicon if self.config["lexicon"] else OpenLexicon
        lexicon = kind(files.words(), spelling)
        if not lexicon.is_open:
            self._note(name, lexicon.num_words + len(lexicon.left_out), lexicon.left_out)
        return FusedSearch(self.beam, self.blank_id, WordScorer(lm, lexicon, spelling, weights))

    def _note_characters(self, name: str) -> None:
        """Count the characters of the model's text that no token can write."""
        found = set(self._files[name].description.get("characters", ())) - {SPACE, " "}
        left_out = sorted(found - self.spelling.characters())
        if found and len(left_out) == len(found):
            raise UserError(
                f"{self._files[name].model} is of another alphabet than the model's tokens: none "
                f"of its characters can be written (first: {' '.join(left_out[:5])})."
            )
        self._note(name, len(found), left_out)

    def _note(self, name: str, num_units: int, left_out: Sequence[str]) -> None:
        coverage = Coverage(name, num_units, tuple(left_out))
        self.coverage.append(coverage)
        if left_out and self.strict:
            raise UserError(f"{self.lm_dir}: {coverage}. Leave --strict out to go on without them.")
        if left_out:
            logging.warning("%s: %s.", self.lm_dir, coverage)
