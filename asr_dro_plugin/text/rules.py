"""Text normalisers that a YAML describes (``conf/text_norm_<name>.yaml``), compiled once.

    markup: keep            # <COMMA> [laughter] {noise} &amp;: keep (default), drop, or a mapping
    unicode: nfc            # none, nfc (default), nfkc
    case: lower             # keep (default), lower, upper; vocabulary: as the list in `vocabulary`
    map: {ё: е}             # one character -> any text
    punctuation: all        # none (default), ascii, all, or {marks: all, keep: "?", space: "&"}
    strip_marks: none       # combining marks: none (default), all, or the marks themselves
    keep: "а-я"             # the alphabet; white space always belongs to it
    others: drop            # what is outside: report (stays, default), drop, space
    languages: {kaz: {map: {}, keep: "а-яәғқңөұүһі"}}    # any step otherwise for a language

The steps are done in this order whatever the file's, and again on what a step left that an earlier
one would change (of é strip_marks leaves e, which map may name); all white space is a space, runs
of which are one at the end.  A rule whose second pass would change what the first one left is
refused.
"""

import hashlib
import json
import logging
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.markup import BRACKETS, MarkupStep
from asr_dro_plugin.text.rule_words import (
    BESIDE,
    LISTED,
    OTHERS,
    STEPS,
    Steps,
    check_keys,
    plain_steps,
    read_steps,
    steps_of_language,
)
from asr_dro_plugin.text.steps import (
    ASCII_MARKS,
    DOTTED_I,
    CharacterTable,
    by_neighbours,
    character_set,
    composed,
    is_mark,
    lower,
    only_inside_words,
    upper,
    without_mark,
    without_marks,
)

CASES = {"keep": lambda text, lang: text, "lower": lower, "upper": upper}


class Rule:
    """One language's rule, compiled: a table for ``str.translate`` and what a table cannot do.

    Args:
        steps: what is done.
        where: the file (and language), for messages.
        lang: ISO 639-3, which decides what the capital of i is.

    Attributes:
        alphabet: the characters of ``keep``; None: all.

    Raises:
        UserError: steps that undo each other, so that a second pass would change the text.
    """

    def __init__(self, steps: Steps, where: str, lang: str = "") -> None:
        self.steps, self.where, self._lang = steps, where, lang
        images = {key: text for key, text in steps.markup.items() if key != OTHERS}
        self.markup = MarkupStep(images, steps.markup.get(OTHERS) == "drop")
        self._form = None if steps.unicode == "none" else steps.unicode.upper()
        self._case = CASES[steps.case]
        self._marks = steps.punctuation.get("marks", "none")
        self._listed = {
            name: character_set(steps.punctuation.get(name, ""), f"{where}: punctuation.{name}")
            for name in LISTED
        }
        self._stripped = {"none": frozenset(), "all": None}.get(
            steps.strip_marks, frozenset(steps.strip_marks)
        )
        self.alphabet = None if steps.keep is None else character_set(steps.keep, f"{where}: keep")
        self._named = frozenset(steps.map).union(*self._listed.values())
        self._table = CharacterTable(self._image)
        self._check()

    def __call__(self, text: str) -> str:
        """The text normalised."""
        while True:
            text = self._composed(self._neighboured(self._unmarked(text)))
            text = self._neighboured(self._case(text, self._lang)).translate(self._table)
            if self._marks == "all" and "'" not in self._listed["keep"]:
                text = only_inside_words(text)
            text = " ".join(text.split())
            if self._composed(text) == text == self._unmarked(text):
                return text  # else what stood between two that compose, or in brackets, is gone

    def _unmarked(self, text: str) -> str:
        return self.markup(text) if self.steps.markup else text

    def _composed(self, text: str) -> str:
        return text if self._form is None else composed(text, self._form)

    def _neighboured(self, text: str) -> str:
        return by_neighbours(text, self._named) if self._marks == "all" else text

    def _image(self, char: str) -> str:
        """What takes the place of a character that is cased and composed, for good."""
        before, after = char, self._step(char)
        while after != before:
            before, after = after, "".join(map(self._step, after))
        return after

    def _step(self, char: str) -> str:
        """What one pass makes of it."""
        kept = self.steps.map.get(char, char)
        if self._stripped is None or self._stripped:
            kept = "".join(without_marks(part, self._stripped) for part in kept)
        kept = "".join(map(self._without_punctuation, kept))
        if not self._leaves_others():
            kept = "".join(map(self._within_alphabet, kept))
        return "".join(" " if char.isspace() else char for char in kept)

    def _leaves_others(self) -> bool:
        return self.alphabet is None or self.steps.others == "report"

    def _without_punctuation(self, char: str) -> str:
        if char in self._listed["keep"]:
            return char
        if char in self._listed["space"]:
            return " "
        if char in self._listed["drop"]:
            return ""
        if self._marks == "ascii":
            return "" if char in ASCII_MARKS else char
        return without_mark(char) if self._marks == "all" else char

    def _within_alphabet(self, char: str) -> str:
        if char in self.alphabet or char.isspace():
            return char
        if is_mark(char) and self._stripped is not None:
            logging.warning(
                "%s: others: %s takes the combining mark U+%04X %s off its letter. Add it to keep, "
                "or say so with strip_marks.",
                self.where, self.steps.others, ord(char), unicodedata.name(char, ""),
            )  # fmt: skip
        return " " if self.steps.others == "space" else ""

    def _check(self) -> None:
        """Refuse what would not stay; it goes by single passes, for a map may have no end."""
        for first, one in self._listed.items():
            for second, other in self._listed.items():
                if first < second and one & other:
                    raise UserError(
                        f"{self.where}: punctuation names '{min(one & other)}' under {first} and "
                        f"{second}. Leave it in one of them."
                    )
        for char, image in self.steps.map.items():
            self._refuse_unless(self._cased(char) == char, f"map has '{char}'", self._cased(char))
            found = self._step(char)
            again = self._pass(found)
            self._refuse_unless(again == found, f"map gives '{image}' for '{char}'", again)
        for written, image in self.steps.markup.items():
            if {*image, *self._pass(image)} & {*BRACKETS, "&"}:
                raise UserError(
                    f"{self.where}: markup gives '{image}' for '{written}', of which come "
                    "brackets again. Write what is said."
                )
        for char in sorted((self.alphabet or frozenset()) | self._listed["keep"]):
            again = self._pass(char)
            self._refuse_unless(again == char or char.isspace(), f"keep has '{char}'", again)

    def _pass(self, text: str) -> str:
        return "".join(map(self._step, self._cased(text)))

    def _cased(self, text: str) -> str:
        return self._case(self._composed(text), self._lang)

    def _refuse_unless(self, is_fixed: bool, what: str, instead: str) -> None:
        if not is_fixed:
            made = f"'{instead}'" if instead else "nothing"
            raise UserError(
                f"{self.where}: {what}, which the other steps turn into {made}: a second pass "
                "would change the text. Write what they leave."
            )


class TextRules:
    """The normaliser of a YAML: ``(text, lang) -> text``, idempotent.

    Args:
        content: the YAML's keys.
        where: its file, for messages; also its name, unless ``content`` has one.

    Raises:
        UserError: an unknown step or word, with the nearest known one; steps that undo each other.
    """

    def __init__(self, content: Mapping, where: str) -> None:
        check_keys(content, (*STEPS, *BESIDE), where)
        content = dict(content)
        self.name = str(content.pop("name", "") or name_of(where))
        vocabulary = content.pop("vocabulary", None)
        languages = content.pop("languages", None) or {}
        if not isinstance(languages, Mapping):
            raise UserError(f"{where}: languages must be a mapping of language: steps.")
        default = read_steps(content, where, vocabulary)
        self._steps = {"": default}
        for lang, own in languages.items():
            self._steps[str(lang)] = steps_of_language(default, own, f"{where}: {lang}", vocabulary)
        self.where = where
        self._rules: dict[str, Rule] = {}
        for lang in self._steps:
            self.rule(lang)
        stripped = {steps.strip_marks for steps in self._steps.values()} - {"none"}
        if stripped:
            logging.warning(
                "%s strips combining marks (strip_marks: %s): letters that only a mark "
                "distinguishes become one.", where, " ".join(sorted(stripped)),
            )  # fmt: skip

    def __call__(self, text: str, lang: str = "") -> str:
        """The text normalised by its language's rule."""
        return self.rule(lang)(text)

    def rule(self, lang: str) -> Rule:
        """The rule of a language: the default one, unless the YAML or its letters i differ."""
        own = lang if lang in self._steps or lang in DOTTED_I else ""
        if own not in self._rules:
            where = f"{self.where}: {own}" if own in self._steps and own else self.where
            self._rules[own] = Rule(self._steps.get(own, self._steps[""]), where, own)
        return self._rules[own]

    def settles_markup(self, written: str, lang: str = "") -> bool:
        """Whether the step ``markup`` of a language does something with a bracketed word."""
        return self.rule(lang).markup(written) != written

    @property
    def content(self) -> dict:
        """What was given, in full and in one order: enough to build the normaliser again."""
        default = self._steps[""]
        of_language = {
            lang: plain_steps(steps, default) for lang, steps in self._steps.items() if lang
        }
        found = {"name": self.name, **plain_steps(default)}
        return found | ({"languages": dict(sorted(of_language.items()))} if of_language else {})

    @property
    def inline(self) -> str:
        """``content`` in one line, which ``--text_norm`` takes like a name or a file."""
        return json.dumps(self.content, ensure_ascii=False)

    @property
    def label(self) -> str:
        """Name and fingerprint of the content, for tables: ``rus#1a2b3c4d``."""
        told = {key: value for key, value in self.content.items() if key != "name"}
        written = json.dumps(told, ensure_ascii=False, sort_keys=True)
        return f"{self.name}#{hashlib.sha256(written.encode()).hexdigest()[:8]}"


def name_of(where: str) -> str:
    """``rus`` for ``conf/text_norm_rus.yaml``."""
    return Path(where).stem.removeprefix("text_norm_")
