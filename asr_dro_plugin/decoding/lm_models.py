"""The n-grams of a folder as scorers of a search, loaded when the first utterance needs them."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.decoding.lm_ngram import NGram
from asr_dro_plugin.decoding.lm_scorers import TokenScorer, Weights, WordScorer
from asr_dro_plugin.decoding.lm_spelling import Lexicon, OpenLexicon, Spelling
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm_files import JOINT, LmFiles, find_lm, lm_names
from asr_dro_plugin.tokens import SPACE


@dataclass(frozen=True)
class Coverage:
    """Which units of a language model the recogniser's tokens cannot write.

    Args:
        name: of the language model.
        num_units: words of a word model, symbols of a character model.
        left_out: those that cannot be written.
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


class LanguageModels:
    """Scorers by language.

    Args:
        lm_dir: the folder of language models.
        config: ``read_decode_config``'s, of mode lm.
        spelling: of the recogniser's tokens.
        strict: whether a unit that cannot be written is an error.

    Attributes:
        coverage: one entry for every model loaded so far.

    Raises:
        UserError: the model asked for is not there, or is of another unit.
    """

    def __init__(
        self, lm_dir: str | os.PathLike, config: Mapping, spelling: Spelling, strict: bool = False
    ) -> None:
        self.lm_dir, self.config, self.spelling, self.strict = lm_dir, config, spelling, strict
        self.coverage: list[Coverage] = []
        self._files: dict[str, LmFiles] = {}
        self._scorers: dict[str, TokenScorer | WordScorer] = {}
        if config["lm"] == JOINT:
            self._find([JOINT])

    def check(self, langs: Sequence[str]) -> None:
        """Refuse, before any decoding, languages that have neither a model nor a joint one."""
        if self.config["lm"] == JOINT:
            return
        there = set(lm_names(self.lm_dir))
        lacking = sorted(set(langs) - there)
        self._find([lang for lang in langs if lang in there])
        if lacking:
            self._find([JOINT] if JOINT in there else lacking[:1])
            logging.warning(
                "%s has no language model of its own for %s: the joint one serves.",
                self.lm_dir, " ".join(lacking),
            )  # fmt: skip

    def scorer(self, lang: str | None) -> TokenScorer | WordScorer:
        """The scorer for a language."""
        name = lang if self.config["lm"] != JOINT and lang in self._files else JOINT
        if name not in self._scorers:
            self._find([name])
            self._scorers[name] = self._build(name)
        return self._scorers[name]

    def name_of(self, lang: str | None) -> str:
        """Which model serves a language."""
        return lang if self.config["lm"] != JOINT and lang in self._files else JOINT

    def reweigh(self, lm_weight: float, word_score: float) -> None:
        """Other alpha and beta for the models that are loaded, and for those to come."""
        self.config = {**self.config, "lm_weight": lm_weight, "word_score": word_score}
        for scorer in self._scorers.values():
            scorer.reweigh(self._weights())

    def _find(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._files:
                files = find_lm(self.lm_dir, name)
                unit = files.description.get("unit", self.config["lm_unit"])
                if unit != self.config["lm_unit"]:
                    raise UserError(
                        f"{files.model} is a model of unit {unit}, the configuration asks for "
                        f"lm_unit {self.config['lm_unit']}. Set lm_unit {unit}, or give another."
                    )
                self._files[name] = files

    def _weights(self) -> Weights:
        unk_score = self.config["unk_score"] or 0.0
        return Weights(self.config["lm_weight"], self.config["word_score"], unk_score)

    def _build(self, name: str) -> TokenScorer | WordScorer:
        files = self._files[name]
        lm = NGram(files.model)
        if self.config["lm_unit"] == "char":
            return self._char_scorer(name, lm)
        if self.config["lexicon"]:
            lexicon = Lexicon(files.words(), self.spelling)
            self._note(name, lexicon.num_words + len(lexicon.left_out), lexicon.left_out)
        else:
            lexicon = OpenLexicon(self.spelling)
            self._note_characters(name)
        return WordScorer(lm, lexicon, self.spelling, self._weights())

    def _char_scorer(self, name: str, lm: NGram) -> TokenScorer:
        self._note_characters(name)
        numbers = range(len(self.spelling.texts))
        units = [self.spelling.units(i) if self.spelling.is_text[i] else () for i in numbers]
        return TokenScorer(lm, units, self._weights())

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
