"""The words of a text rule: a YAML's keys and values, checked, as one ``Steps`` a language."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.text.casing import casing_of
from asr_dro_plugin.text.markup import is_markup
from asr_dro_plugin.text.steps import is_mark

WORDS = {
    "unicode": ("none", "nfc", "nfkc"),
    "case": ("keep", "lower", "upper"),
    "others": ("report", "drop", "space"),
    "marks": ("none", "ascii", "all"),
    "markup": ("keep", "drop"),
}
STEPS = ("markup", "unicode", "case", "map", "punctuation", "strip_marks", "keep", "others")
BESIDE = ("languages", "vocabulary", "name")
UNTOUCHED = ("marks", "none")
LISTED = ("keep", "drop", "space")  # the sets of `punctuation`
OTHERS = "others"  # of `markup`: what is not mapped


@dataclass(frozen=True)
class Steps:
    """The steps of one rule, as the YAML's words.

    Attributes:
        unicode, case, others: the words of ``WORDS``.
        map: character -> text.
        punctuation: ``marks`` (a word) and the sets ``keep``, ``drop`` and ``space``.
        strip_marks: ``none``, ``all``, or the marks to strip.
        keep: the alphabet as written; None: every character.
        markup: bracketed word or entity -> text, and ``others``: keep or drop.
    """

    unicode: str = "nfc"
    case: str = "keep"
    map: dict[str, str] = field(default_factory=dict)
    punctuation: dict[str, str] = field(default_factory=dict)
    strip_marks: str = "none"
    keep: str | None = None
    others: str = "report"
    markup: dict[str, str] = field(default_factory=dict)


def plain_steps(steps: Steps, default: Steps | None = None) -> dict:
    """The steps that are not as they are by default."""
    usual = asdict(default or Steps())
    return {key: value for key, value in asdict(steps).items() if value != usual[key]}


def steps_of_language(default: Steps, own: object, where: str, vocabulary: str | None) -> Steps:
    """A language's steps over the default ones; maps are joined."""
    if not isinstance(own, Mapping):
        raise UserError(f"{where} must be a mapping of step: value.")
    check_keys(own, STEPS, where)
    joined = {**asdict(default), **own}
    for name in ("map", "markup"):
        if isinstance(own.get(name), Mapping):
            joined[name] = {**getattr(default, name), **own[name]}
    return read_steps(joined, where, vocabulary)


def read_steps(content: Mapping, where: str, vocabulary: str | None) -> Steps:
    """Check the words of a rule's steps."""
    found = {key: value for key, value in content.items() if value is not None}
    if found.get("case") == "vocabulary":
        found["case"] = _case_of(vocabulary, where)
    for key in ("unicode", "case", "others"):
        if key in found:
            found[key] = _word(found[key], WORDS[key], f"{where}: {key}")
    if "map" in found:
        found["map"] = _mapping(found["map"], where)
    if "markup" in found:
        found["markup"] = _markup(found["markup"], f"{where}: markup")
    if "punctuation" in found:
        found["punctuation"] = _punctuation(found["punctuation"], f"{where}: punctuation")
    if "strip_marks" in found:
        found["strip_marks"] = _marks(found["strip_marks"], f"{where}: strip_marks")
    if "keep" in found and not isinstance(found["keep"], str):
        raise UserError(f'{where}: keep must be text, for example "a-z\'", not {found["keep"]!r}.')
    if found.get("others", "report") != "report" and not found.get("keep"):
        raise UserError(f"{where}: others: {found['others']} needs keep, the alphabet.")
    return Steps(**found)


def _case_of(vocabulary: str | None, where: str) -> str:
    if not vocabulary:
        raise UserError(f"{where}: case: vocabulary needs vocabulary: FILE, a list of tokens.")
    case = casing_of(read_lines(vocabulary))
    return case if case in WORDS["case"] else "keep"


def check_keys(content: Mapping, known: tuple[str, ...], where: str) -> None:
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


def _markup(value: object, where: str) -> dict[str, str]:
    """``others`` and the mapped ones; nothing for ``keep``."""
    if not isinstance(value, Mapping):
        value = {OTHERS: value}
    word = _word(value.get(OTHERS, "keep"), WORDS["markup"], where)
    images = {written: image for written, image in value.items() if written != OTHERS}
    for written, image in images.items():
        if not isinstance(image, str):
            raise UserError(f"{where} has '{written}': {image!r}. Write a text in quotes.")
        if not is_markup(str(written)):
            raise UserError(
                f"{where} has '{written}', which is no bracketed word and no entity. Write it as "
                'the text does, in quotes: "<COMMA>", "[laughter]", "&amp;".'
            )
    return images | ({OTHERS: word} if word != "keep" else {})


def _punctuation(value: object, where: str) -> dict[str, str]:
    """``marks`` and the listed sets."""
    if not isinstance(value, Mapping):
        word = _word(value, WORDS["marks"], where)
        return {} if word == "none" else {"marks": word}
    check_keys(value, ("marks", *LISTED), where)
    found = {"marks": _word(value.get("marks", "none"), WORDS["marks"], f"{where}.marks")}
    for name in LISTED:
        if name in value and not isinstance(value[name], str):
            raise UserError(f"{where}.{name} must be text in quotes, not {value[name]!r}.")
        found[name] = value.get(name, "")
    return {key: chars for key, chars in found.items() if chars and (key, chars) != UNTOUCHED}


def _marks(value: object, where: str) -> str:
    word = "none" if value is False else value
    if word in ("none", "all"):
        return word
    if not isinstance(word, str) or not all(map(is_mark, word)):
        raise UserError(
            f'{where} must be none, all, or combining marks, for example "\\u0301", not {value!r}.'
        )
    return word
