"""Text normalisers that a YAML describes (``conf/text_norm_<name>.yaml``), compiled once.

    unicode: nfc            # none, nfc (default), nfkc
    case: lower             # keep (default), lower, upper; vocabulary: as the list in `vocabulary`
    map: {ё: е}             # one character -> any text
    punctuation: all        # none (default), ascii, all, or {marks: all, keep: "?", space: "&"}
    strip_marks: none       # combining marks: none (default), all, or the marks themselves
    keep: "а-я"             # the alphabet; white space always belongs to it
    others: drop            # what is outside: report (stays, default), drop, space
    languages: {kaz: {map: {}, keep: "а-яәғқңөұүһі"}}    # any step otherwise for a language

The steps are done in this order whatever the file's; white space is collapsed at the end.  A rule
whose second pass would change what the first one left is refused.
"""

import hashlib
import json
import logging
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.text_steps import (
    ASCII_MARKS,
    DOTTED_I,
    CharacterTable,
    character_set,
    is_mark,
    lower,
    only_inside_words,
    upper,
    without_mark,
    without_marks,
)

WORDS = {
    "unicode": ("none", "nfc", "nfkc"),
    "case": ("keep", "lower", "upper"),
    "others": ("report", "drop", "space"),
    "marks": ("none", "ascii", "all"),
}
STEPS = ("unicode", "case", "map", "punctuation", "strip_marks", "keep", "others")
BESIDE = ("languages", "vocabulary", "name")
LISTED = ("keep", "drop", "space")  # the sets of `punctuation`
CASES = {"keep": lambda text, lang: text, "lower": lower, "upper": upper}


@dataclass(frozen=True)
class Steps:
    """The steps of one rule, as the YAML's words.

    Attributes:
        unicode, case, others: the words of ``WORDS``.
        map: character -> text.
        punctuation: ``marks`` (a word) and the sets ``keep``, ``drop`` and ``space``.
        strip_marks: ``none``, ``all``, or the marks to strip.
        keep: the alphabet as written; None: every character.
    """

    unicode: str = "nfc"
    case: str = "keep"
    map: dict[str, str] = field(default_factory=dict)
    punctuation: dict[str, str] = field(default_factory=dict)
    strip_marks: str = "none"
    keep: str | None = None
    others: str = "report"


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
        self._table = CharacterTable(self._image)
        self._check()

    def __call__(self, text: str) -> str:
        """The text normalised."""
        while True:
            text = self._case(self._composed(text), self._lang).translate(self._table)
            if self._marks == "all" and "'" not in self._listed["keep"]:
                text = only_inside_words(text)
            text = " ".join(text.split())
            if self._form is None or unicodedata.is_normalized(self._form, text):
                return text  # else what stood between two characters that compose is gone

    def _composed(self, text: str) -> str:
        return text if self._form is None else unicodedata.normalize(self._form, text)

    def _image(self, char: str) -> str:
        """What takes the place of a character that is cased and composed."""
        kept = self.steps.map.get(char, char)
        if self._stripped is None or self._stripped:
            kept = "".join(without_marks(part, self._stripped) for part in kept)
        kept = "".join(map(self._without_punctuation, kept))
        return kept if self._leaves_others() else "".join(map(self._within_alphabet, kept))

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
        for first, one in self._listed.items():
            for second, other in self._listed.items():
                if first < second and one & other:
                    raise UserError(
                        f"{self.where}: punctuation names '{min(one & other)}' under {first} and "
                        f"{second}. Leave it in one of them."
                    )
        for char, image in self.steps.map.items():
            self._refuse_unless(self._cased(char) == char, f"map has '{char}'", self._cased(char))
            found = self._image(char)
            again = self._cased(found).translate(self._table)
            self._refuse_unless(again == found, f"map gives '{image}' for '{char}'", again)
        for char in sorted((self.alphabet or frozenset()) | self._listed["keep"]):
            again = self._cased(char).translate(self._table)
            self._refuse_unless(again == char or char.isspace(), f"keep has '{char}'", again)

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
        _known(content, (*STEPS, *BESIDE), where)
        content = dict(content)
        self.name = str(content.pop("name", "") or name_of(where))
        vocabulary = content.pop("vocabulary", None)
        languages = content.pop("languages", None) or {}
        if not isinstance(languages, Mapping):
            raise UserError(f"{where}: languages must be a mapping of language: steps.")
        default = _steps(content, where, vocabulary)
        self._steps = {"": default}
        for lang, own in languages.items():
            self._steps[str(lang)] = _of_language(default, own, f"{where}: {lang}", vocabulary)
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

    @property
    def content(self) -> dict:
        """What was given, in full and in one order: enough to build the normaliser again."""
        of_language = {lang: _plain(steps) for lang, steps in self._steps.items() if lang}
        found = {"name": self.name, **_plain(self._steps[""])}
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


def _plain(steps: Steps) -> dict:
    """The steps that are not as they are by default."""
    default = asdict(Steps())
    return {key: value for key, value in asdict(steps).items() if value != default[key]}


def _of_language(default: Steps, own: object, where: str, vocabulary: str | None) -> Steps:
    """A language's steps over the default ones; maps are joined."""
    if not isinstance(own, Mapping):
        raise UserError(f"{where} must be a mapping of step: value.")
    _known(own, STEPS, where)
    joined = {**asdict(default), **own}
    if isinstance(own.get("map"), Mapping):
        joined["map"] = {**default.map, **own["map"]}
    return _steps(joined, where, vocabulary)


def _steps(content: Mapping, where: str, vocabulary: str | None) -> Steps:
    """Check the words of a rule's steps."""
    found = {key: value for key, value in content.items() if value is not None}
    if found.get("case") == "vocabulary":
        found["case"] = _case_of(vocabulary, where)
    for key in ("unicode", "case", "others"):
        if key in found:
            found[key] = _word(found[key], WORDS[key], f"{where}: {key}")
    if "map" in found:
        found["map"] = _mapping(found["map"], where)
    if "punctuation" in found:
        found["punctuation"] = _punctuation(found["punctuation"], f"{where}: punctuation")
    if "strip_marks" in found:
        found["strip_marks"] = _marks(found["strip_marks"], f"{where}: strip_marks")
    if "keep" in found and not isinstance(found["keep"], str):
        raise UserError(f'{where}: keep must be text, for example "a-z\'", not {found["keep"]!r}.')
    if found.get("others", "report") != "report" and "keep" not in found:
        raise UserError(f"{where}: others: {found['others']} needs keep, the alphabet.")
    return Steps(**found)


def _case_of(vocabulary: str | None, where: str) -> str:
    from asr_dro_plugin.kaldi_io import read_lines
    from asr_dro_plugin.vocabulary import casing_of

    if not vocabulary:
        raise UserError(f"{where}: case: vocabulary needs vocabulary: FILE, a list of tokens.")
    case = casing_of(read_lines(vocabulary))
    return case if case in CASES else "keep"


def _known(content: Mapping, known: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in known:
            raise UserError(
                f"{where}: '{key}' is no step.{suggestion(str(key), known)} "
                f"Steps: {', '.join(known)}."
            )


def _word(value: object, known: tuple[str, ...], where: str) -> str:
    word = "none" if value is False else str(value)
    if word not in known:
        raise UserError(f"{where} is '{word}'.{suggestion(word, known)} Legal: {', '.join(known)}.")
    return word


def _mapping(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: map must be a mapping of character: text, not {value!r}.")
    for char, image in value.items():
        if not (isinstance(char, str) and isinstance(image, str) and len(char) == 1):
            raise UserError(
                f"{where}: map has {char!r}: {image!r}. Left stands one character, right a text; "
                "quote digits and marks."
            )
    return dict(value)


def _punctuation(value: object, where: str) -> dict[str, str]:
    """``marks`` and the listed sets."""
    if not isinstance(value, Mapping):
        return {"marks": _word(value, WORDS["marks"], where)}
    _known(value, ("marks", *LISTED), where)
    found = {"marks": _word(value.get("marks", "none"), WORDS["marks"], f"{where}.marks")}
    for name in LISTED:
        if name in value and not isinstance(value[name], str):
            raise UserError(f"{where}.{name} must be text in quotes, not {value[name]!r}.")
        found[name] = value.get(name, "")
    return {key: chars for key, chars in found.items() if chars}


def _marks(value: object, where: str) -> str:
    word = "none" if value is False else value
    if word in ("none", "all"):
        return word
    if not isinstance(word, str) or not all(map(is_mark, word)):
        raise UserError(
            f'{where} must be none, all, or combining marks, for example "\\u0301", not {value!r}.'
        )
    return word
