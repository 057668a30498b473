"""Text normalisation and the language tag, the same for preparation, training and scoring.

A normaliser is a pure function ``(text, lang) -> text``, idempotent, chosen by name: one of
``NORMALIZERS``, or a YAML of steps (``text/rules.py``).  What a CER was counted on is said by that
name, and for a YAML by its content, which is stored with every result.
"""

import functools
import io
import json
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from asr_dro_plugin.base.recipe_files import CHECKOUT
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.text.steps import (
    APOSTROPHES,
    CharacterTable,
    by_neighbours,
    lower,
    only_inside_words,
    upper,
    without_mark,
)

_TAG = re.compile(r"\[([a-z]{3})\](?: +|$)")
_PUNCTUATION = CharacterTable(without_mark)


def _without_punctuation(text: str) -> str:
    for written in APOSTROPHES:  # a table for translate() asks for every other character too
        text = text.replace(written, "'")
    text = by_neighbours(text)
    text = only_inside_words(text.translate(_PUNCTUATION))
    # a mark between letter and accent is gone now, so the two may compose
    return unicodedata.normalize("NFC", " ".join(text.split()))


def none(text: str, lang: str = "") -> str:
    """The text as it is, but for the white space at its ends and runs of it inside."""
    return " ".join(text.split())


def nfc(text: str, lang: str = "") -> str:
    """Unicode's composed form (NFC), white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def lower_no_punct(text: str, lang: str = "") -> str:
    """NFC, lower case, no punctuation and no symbols, single spaces.

    An apostrophe inside a word stays (``don't``, ``l'eau``, typed ``l`eau`` too); hyphens, dashes,
    slashes, underscores and clause marks become a space; other marks vanish, and so does what is
    invisible by design.  Combining marks of letters are never touched.
    """
    return _without_punctuation(lower(unicodedata.normalize("NFC", text), lang))


def upper_no_punct(text: str, lang: str = "") -> str:
    """As ``lower_no_punct``, in upper case (what the published ML-SUPERB recipes train on)."""
    return _without_punctuation(upper(unicodedata.normalize("NFC", text), lang))


Normalizer = Callable[[str, str], str]
NORMALIZERS: dict[str, Normalizer] = {
    "none": none,
    "nfc": nfc,
    "lower_no_punct": lower_no_punct,
    "upper_no_punct": upper_no_punct,
}
# the same as a YAML says it
_AS_STEPS = {
    none: "unicode: none",
    nfc: "",
    lower_no_punct: "case: lower, punctuation: all",
    upper_no_punct: "case: upper, punctuation: all",
}
CONF = Path("conf")
PREFIX, SUFFIXES, RECORD = "text_norm_", (".yaml", ".yml"), ".json"
KINDS = f"{', '.join(NORMALIZERS)}, or a YAML of steps (conf/text_norm_NAME.yaml or its NAME)"


def get_normalizer(name: str) -> Normalizer:
    """The normaliser called ``name``.

    Args:
        name: of ``NORMALIZERS``; a YAML file; ``rus`` for ``conf/text_norm_rus.yaml``; a YAML's
            content in one line, ``{...}``, as ``recorded`` gives it; or a result that stores one
            (``score.json``, ``lm.json``).

    Raises:
        UserError: no such name (with the nearest one), or a YAML that makes no normaliser.
    """
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    if name.lstrip().startswith("{"):
        return _from_yaml(name, "--text_norm")
    path = _file_of(name)
    try:
        text = path.read_text("utf-8")
        if path.suffix == RECORD:
            return get_normalizer(json.loads(text)["text_norm"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"--text_norm {name} holds no normaliser ({why}).") from None
    return _from_yaml(text, str(path))


def recorded(name: str) -> str:
    """What a result stores, so that its normaliser can be built again whatever becomes of a file.

    A name of ``NORMALIZERS`` stays; a YAML becomes its content in one line.
    """
    return getattr(get_normalizer(name), "inline", name)


def label_of(name: str) -> str:
    """What tables call a normaliser: its name, and for a YAML its content's fingerprint too."""
    return getattr(get_normalizer(name), "label", name)


def markup_remedy(normalize: Normalizer) -> str:
    """What to do about bracketed words and entities under a normaliser."""
    if normalize in _AS_STEPS:
        steps = ", ".join(filter(None, [_AS_STEPS[normalize], "markup: drop"]))
        return f'To take them off, run this again with --text_norm "{{{steps}}}" (docs/data.md).'
    where = getattr(normalize, "where", "the rule of --text_norm")
    return f"Add markup: drop to {where}, or map them there (docs/data.md)."


def _file_of(name: str) -> Path:
    """The YAML of a name; relative paths start here or where the recipe was called."""
    starts = [Path(), Path(os.environ.get("ASR_DRO_CALLER_DIR", ".")), CHECKOUT]
    is_path = name.endswith((*SUFFIXES, RECORD)) or "/" in name
    given = Path(name) if is_path else CONF / f"{PREFIX}{name}{SUFFIXES[0]}"
    for start in starts:
        if (start / given).is_file():
            return start / given
    found = {path.stem.removeprefix(PREFIX) for start in starts for path in _listed(start / CONF)}
    if is_path:
        raise UserError(f"--text_norm {name} does not exist. Known: {KINDS}.")
    known = [*NORMALIZERS, *sorted(found)]
    raise UserError(
        f"--text_norm {name} is not known.{suggestion(name, known)} Known: {' '.join(known)}, "
        "or a YAML of steps."
    )


def _listed(folder: Path) -> list[Path]:
    return list(folder.glob(f"{PREFIX}*{SUFFIXES[0]}"))


@functools.lru_cache(maxsize=16)
def _from_yaml(text: str, where: str) -> Normalizer:
    from asr_dro_plugin.base.yaml_files import parse_config
    from asr_dro_plugin.text.rules import TextRules

    stream = io.StringIO(text)
    stream.name = where  # for messages
    return TextRules(parse_config(stream, where), where)


def split_tag(text: str) -> tuple[str | None, str]:
    """Part a language tag from the text: ``"[eng] hello"`` -> ``("eng", "hello")``.

    Only three lower-case letters in brackets at the very start are a tag; without one the first
    item is None and the text is returned whole.
    """
    match = _TAG.match(text)
    return (match[1], text[match.end() :]) if match else (None, text)


def add_tag(lang: str, text: str) -> str:
    """``("eng", "hello")`` -> ``"[eng] hello"``; an empty text gives the tag alone."""
    return f"[{lang}] {text}".rstrip(" ")
