#!/usr/bin/env python3
"""Corpus ``tsv``: any table of utterances (TSV, CSV, JSON lines as NeMo writes them).

Columns: utterance id, language, split, path, duration, speaker, transcript; others may group.
Paths are relative to the table.  A missing duration is measured; without a split column the
split is made by speaker, or by recording where no speakers are named.
"""

import logging
import math
from collections.abc import Iterator
from pathlib import Path

from asr_dro_plugin import corpus, splits
from asr_dro_plugin.drops import DropLedger
from asr_dro_plugin.errors import UserError, run_main, suggestion
from asr_dro_plugin.languages import choose, read_languages
from asr_dro_plugin.tables import parse_columns, read_rows
from asr_dro_plugin.text import get_normalizer

LOCAL = Path(__file__).resolve().parent
SETS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev",
        "val": "dev", "test": "test"}  # fmt: skip


def main() -> None:
    """Read the table, split if it does not, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args()
    if not args.source or not Path(args.source).is_file():
        raise UserError(
            f"--source '{args.source}' is not a table. Name the file there, or set TSV in db.sh."
        )
    normalize = get_normalizer(args.text_norm)
    rows = list(read_table(Path(args.source), parse_columns(args.columns), args.group_by))
    if not rows:
        raise UserError(f"{args.source} has a header but no rows.")
    if args.langs:
        wanted = choose(args.langs, {utt.lang for utt, _ in rows}, args.source)
        rows = [(utt, name) for utt, name in rows if utt.lang in wanted]
    corpus.refuse_duplicates(utt for utt, _ in rows)
    rows = _with_sets(rows, args)
    sets = {}
    for name in corpus.SETS:
        ledger = DropLedger()
        utterances = [utt for utt, its_set in rows if its_set == name]
        sets[name] = corpus.clean(utterances, normalize, ledger), ledger
    corpus.write_sets(args.out_dir, "tsv", sets, args.lid, args.max_drop)


def _parser() -> corpus.OptionParser:
    parser = corpus.OptionParser("tsv", __doc__)
    parser.add_argument("--columns", default="", help='"utt_id=id lang=language ..."')
    parser.add_argument("--group_by", default="lang", help="lang, lang_corpus, or a column")
    return parser


def read_table(
    table: Path, columns: dict[str, str], group_by: str = "lang"
) -> Iterator[tuple[corpus.Utterance, str]]:
    """(utterance, its split or '') for each row; a malformed row is an error with file and line."""
    for number, row in read_rows(table, columns):
        where = f"{table}:{number}"
        lang = _language(row.get("lang", ""), where)
        audio = table.parent / row["path"].strip()
        if str(audio).rstrip().endswith("|"):
            raise UserError(f"{where} names a command, not a file. Write the audio out first.")
        speaker = row.get("speaker", "").strip()
        utt_id = row.get("utt_id", "").strip() or audio.stem
        speaker_id, kaldi_id = corpus.kaldi_ids(lang, speaker or utt_id, utt_id)
        start = _number(row.get("offset", ""), "offset", where)
        duration = _number(row.get("duration", ""), "duration", where)
        end = start + duration if start is not None and duration is not None else None
        utt = corpus.Utterance(
            kaldi_id, str(audio), row["transcript"], lang, speaker_id, duration,
            _category(row, group_by, lang, where), start, end, where,
        )  # fmt: skip
        yield utt, _set_name(row, where)


def _language(word: str, where: str) -> str:
    word = word.strip()
    if len(word) == 3 and word.isascii() and word.isalpha() and word.islower():
        return word
    known = read_languages(LOCAL / "languages.tsv")
    near = suggestion(word, [*known, *(language.name for language in known.values())])
    raise UserError(
        f"{where} has language '{word}', which is no ISO 639-3 code (three small letters).{near} "
        "local/languages.tsv lists many."
    )


def _number(word: str, name: str, where: str) -> float | None:
    """Seconds, or None for an empty field."""
    if not word.strip():
        return None
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UserError(f"{where} has {name} '{word}', which is no number of seconds. Mend it.")
    return value


def _category(row: dict[str, str], group_by: str, lang: str, where: str) -> str:
    if group_by == "lang":
        return lang
    column = "corpus" if group_by == "lang_corpus" else group_by
    if column not in row:
        raise UserError(
            f"{where} has no column '{column}' (--group_by {group_by})."
            f"{suggestion(column, row)} Columns: {' '.join(row)}."
        )
    value = "-".join(row[column].split()) or "none"
    return f"{lang}_{value}" if group_by == "lang_corpus" else value


def _set_name(row: dict[str, str], where: str) -> str:
    """train, dev or test; empty when the table has no split column."""
    if "split" not in row:
        return ""
    word = row["split"].strip().lower()
    if word not in SETS:
        raise UserError(f"{where} has split '{word}'.{suggestion(word, SETS)} Known: {' '.join(SETS)}.")
    return SETS[word]


def _with_sets(rows: list[tuple[corpus.Utterance, str]], args) -> list[tuple[corpus.Utterance, str]]:
    """Give sets to utterances that have none: by speaker if the table names any, else by file."""
    if all(name for _, name in rows):
        return rows
    if any(name for _, name in rows):
        utt = next(utt for utt, name in rows if not name)
        raise UserError(f"{utt.source} has no split, other rows have. Give it for all or for none.")
    speakers = {utt.speaker for utt, _ in rows}
    named = len(speakers) < len(rows)
    keys = [utt.speaker if named else utt.audio for utt, _ in rows]
    keys = [Path(key).name if not named else key for key in keys]
    path = Path(args.out_dir) / "split_tsv.tsv"
    expected = (Path(args.out_dir) / "train_tsv" / "text").exists()
    split, new = splits.keep_split(
        path, keys, args.seed, expected=expected, new_split=args.new_split
    )
    what = "speakers" if named else "recordings"
    logging.info("%s: split by %s, %d of them, %d new", path, what, len(set(keys)), new)
    return [(utt, split[key]) for (utt, _), key in zip(rows, keys, strict=True)]


if __name__ == "__main__":
    run_main(main)
