"""``local/corpora.tsv``: the licence of each corpus, by the names that ``utt2corpus`` holds.

Columns: ``corpus``, ``lang`` (ISO 639-3; empty: every language that has no row of its own),
``licence``, ``source``.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.base.recipe_files import recipe_file
from asr_dro_plugin.errors import UserError

COLUMNS = ("corpus", "lang", "licence", "source")
TABLE = "local/corpora.tsv"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class CorpusLicence:
    """One row of the table."""

    corpus: str
    lang: str
    licence: str
    source: str


def read_corpora(path: str | os.PathLike | None = None) -> list[CorpusLicence]:
    """Rows of the table; by default the recipe's, else the one beside the package, else none.

    Raises:
        UserError: a row that has not these columns, or a corpus and language given twice.
    """
    path = path or recipe_file(TABLE)
    if path is None:
        return []
    rows: dict[tuple[str, str], CorpusLicence] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split("\t")
        if not line or line.startswith("#") or fields == list(COLUMNS):
            continue
        if len(fields) != len(COLUMNS) or not fields[0] or not fields[2]:
            raise UserError(f"{path}:{number} is not a row of {' '.join(COLUMNS)} between tabs.")
        row = CorpusLicence(*fields)
        if rows.setdefault((plain(row.corpus), row.lang), row) is not row:
            raise UserError(f"{path}:{number} gives '{row.corpus} {row.lang}' a second time.")
    return list(rows.values())


def plain(name: str) -> str:
    """A corpus name without what people write in several ways: ``M-AILABS`` is ``m_ailabs``."""
    return re.sub(r"[-_\s]+", "", name).casefold()


def find(corpus: str, lang: str, rows: Sequence[CorpusLicence]) -> CorpusLicence:
    """The row of a corpus in a language; one with the licence ``unknown`` where there is none."""
    named = {row.lang: row for row in rows if plain(row.corpus) == plain(corpus)}
    return named.get(lang) or named.get("") or CorpusLicence(corpus, lang, UNKNOWN, "")
