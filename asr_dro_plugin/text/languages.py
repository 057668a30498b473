"""``local/languages.tsv``: what is known of each language, so that code needs no list of its own.

Columns: ``iso`` (ISO 639-3), ``name``, ``script`` (ISO 15924), ``few_shot`` and ``no_space``
(0 or 1), ``sets`` (``set1:M-AILABS``: member of the language set ``set1`` with that corpus).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError, suggestion

TABLE = "local/languages.tsv"  # of the recipe
COLUMNS = ("iso", "name", "script", "few_shot", "no_space", "sets")


@dataclass(frozen=True)
class Language:
    """One row of the table.  ``sets`` maps a language set to the corpus it takes ('' is any)."""

    iso: str
    name: str
    script: str
    few_shot: bool
    no_space: bool
    sets: Mapping[str, str]


def read_languages(path: str | os.PathLike = TABLE) -> dict[str, Language]:
    """Read the table: ISO code -> Language.  A malformed row is an error with file and line."""
    table: dict[str, Language] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if fields[0] == "iso":
            continue
        if len(fields) != len(COLUMNS) or not {fields[3], fields[4]} <= {"0", "1"}:
            raise UserError(
                f"{path}:{number} is not a row of {' '.join(COLUMNS)} separated by tabs, "
                "with 0 or 1 for few_shot and no_space."
            )
        iso, name, script, few_shot, no_space, sets = fields
        if iso in table:
            raise UserError(f"{path}:{number} gives '{iso}' a second time.")
        members = {word.partition(":")[0]: word.partition(":")[2] for word in sets.split()}
        table[iso] = Language(iso, name, script, few_shot == "1", no_space == "1", members)
    return table


def iso_code(word: str, where: str, path: str | os.PathLike = TABLE) -> str:
    """A language of a corpus as its ISO 639-3 code; anything else is an error with ``where``."""
    word = word.strip()
    if len(word) == 3 and word.isascii() and word.isalpha() and word.islower():
        return word
    known = read_languages(path)
    codes = {language.name.lower(): iso for iso, language in known.items()}
    names = [language.name for language in known.values()]
    near = f" {word} is {codes[word.lower()]}." if word.lower() in codes else ""
    near = near or suggestion(word, [*known, *names])
    raise UserError(
        f"{where} has language '{word}', which is no ISO 639-3 code (three small letters).{near} "
        "local/languages.tsv lists many."
    )


def choose(langs: str, known: Iterable[str], where: str) -> list[str]:
    """The languages named in ``langs`` (all known ones if it is empty), sorted.

    Raises:
        UserError: one of them is not known; lists the known ones.
    """
    known = sorted(set(known))
    wanted = sorted(set(langs.replace(",", " ").split()))
    for lang in wanted:
        if lang not in known:
            raise UserError(
                f"--langs {lang} is not a language of {where}.{suggestion(lang, known)} "
                f"Known: {' '.join(known)}."
            )
    return wanted or known


def language_set(name: str, table: Mapping[str, Language]) -> dict[str, str]:
    """ISO code -> corpus ('' is any) for the members of a named language set."""
    members = {iso: lang.sets[name] for iso, lang in table.items() if name in lang.sets}
    if not members:
        known = sorted({word for lang in table.values() for word in lang.sets})
        raise UserError(
            f"--language_set {name} is not in the sets column of local/languages.tsv."
            f"{suggestion(name, known)} Known: {' '.join(known)}."
        )
    return members
