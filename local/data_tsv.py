#!/usr/bin/env python3
"""Corpus ``tsv``: any table of utterances (TSV, CSV, JSON lines as NeMo writes them).

Columns: utterance id, language, split, path, duration, speaker, transcript, corpus; others may
group.  Paths are relative to the table.  A missing duration is measured; without a split column
the split is made by speaker, or by recording where no speakers are named; without a corpus column
the corpus is called as the sets are.
"""

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asr_dro_plugin.data import corpus, overlaps, splits
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.data.kaldi_names import NamesApart
from asr_dro_plugin.data.manifests import JSON_LINES, parse_columns, read_rows
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.text.languages import choose, iso_code
from asr_dro_plugin.text.normalizers import get_normalizer

Row = tuple[corpus.Utterance, str]  # and its set, '' if the table does not tell
ALLOW = "--allow_shared_recordings"
LOCAL = Path(__file__).resolve().parent
SETS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev",
        "val": "dev", "test": "test"}  # fmt: skip


def main() -> None:
    """Read the table, split if it does not, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args()
    if not args.source or not Path(args.source).is_file():
        raise UserError(
            f"--data_source '{args.source}' is not a table. Name the file there, or set TSV in "
            "db.sh."
        )
    normalize = get_normalizer(args.text_norm)
    one_lang = args.langs if len(args.langs.split()) == 1 else ""
    columns = parse_columns(args.columns)
    rows = list(read_table(Path(args.source), columns, args.group_by, one_lang))
    if not rows:
        raise UserError(f"{args.source} has a header but no rows.")
    if args.langs:
        wanted = choose(args.langs, {utt.lang for utt, _ in rows}, args.source)
        rows = [(utt, name) for utt, name in rows if utt.lang in wanted]
    corpus.refuse_duplicates(utt for utt, _ in rows)
    split_file = None
    if not all(name for _, name in rows):
        split_file = Path(args.out_dir) / f"split_{args.name}.tsv"
        rows = _make_split(rows, split_file, args)
    sets = {}
    for name in corpus.SETS:
        ledger = DropLedger()
        utterances = [utt for utt, its_set in rows if its_set == name]
        sets[name] = corpus.clean(utterances, normalize, ledger), ledger
    _judge_overlaps({name: kept for name, (kept, _) in sets.items()}, split_file, args)
    corpus.write_sets(args.out_dir, args.name, sets, args.lid, args.max_drop, split_file)


def _parser() -> OptionParser:
    parser = OptionParser("tsv", __doc__)
    parser.add_argument("--columns", default="", help='"utt_id=id lang=language ..."')
    parser.add_argument("--group_by", default="lang", help="lang, lang_corpus, or a column")
    parser.add_switch(ALLOW, "true: sets of the table may have the same recordings")
    return parser


def _judge_overlaps(sets: overlaps.Sets, split_file: Path | None, args) -> None:
    """The table's own sets must not have the same sound; whatever else they share is told."""
    found = list(overlaps.overlaps(sets))
    if split_file is None and not args.allow_shared_recordings:
        overlaps.refuse_same_sound(found, args.source, ALLOW)
    for each in found:
        if each.same:
            logging.warning("%s: %s", args.source, overlaps.described(each))
    for note in overlaps.notes(found):
        logging.info("%s: %s", args.source, note)


def read_table(
    table: Path, columns: dict[str, str], group_by: str = "lang", one_lang: str = ""
) -> Iterator[Row]:
    """(utterance, its set or '') for each row; a malformed row is an error with file and line.

    Args:
        table: TSV, CSV or JSON lines.
        columns: our name -> header, for those that are not found by themselves.
        group_by: ``lang``, ``lang_corpus`` or a column.
        one_lang: the language of a table without a language column.
    """
    apart = NamesApart()
    for number, row in read_rows(table, columns):
        where = f"{table}:{number}"
        lang = iso_code(row.get("lang", one_lang), where, LOCAL / "languages.tsv")
        utt = _utterance(row, lang, table.parent, group_by, where)
        if utt.start is None and table.suffix.lower() in JSON_LINES:
            utt = replace(utt, end=utt.duration)  # as NeMo reads a duration without an offset
        _note_names(row, utt, group_by, apart)
        yield utt, _set_name(row, where)


def _note_names(row: dict[str, str], utt: corpus.Utterance, group_by: str, apart: NamesApart):
    """Speakers, corpora and groups that are two in the table stay two."""
    if speaker := row.get("speaker", "").strip():
        apart.note("speaker", speaker, utt.speaker, utt.source)
    apart.note("corpus", utt.corpus.strip(), corpus.one_word(utt.corpus), utt.source)
    if group_by not in ("lang", "lang_corpus"):
        apart.note(group_by, row[group_by].strip() or "none", utt.category, utt.source)


def _utterance(
    row: dict[str, str], lang: str, folder: Path, group_by: str, where: str
) -> corpus.Utterance:
    audio = folder / row["path"].strip()
    if str(audio).endswith("|"):
        raise UserError(f"{where} names a command, not a file. Write the audio out first.")
    start = _number(row.get("offset", ""), "offset", where)
    duration = _number(row.get("duration", ""), "duration", where)
    name = audio.stem if start is None else f"{audio.stem}-{round(start * 1000):08d}"
    utt_id = row.get("utt_id", "").strip() or name
    speaker, utt_id = corpus.kaldi_ids(lang, row.get("speaker", "").strip() or utt_id, utt_id)
    return corpus.Utterance(
        utt_id, str(audio), row["transcript"], lang, speaker, duration,
        _category(row, group_by, lang, where), start,
        None if start is None or duration is None else start + duration, where,
        row.get("corpus", ""),
    )  # fmt: skip


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
        raise UserError(
            f"{where} has split '{word}'.{suggestion(word, SETS)} Known: {' '.join(SETS)}."
        )
    return SETS[word]


def _make_split(rows: list[Row], split_file: Path, args) -> list[Row]:
    """Give every utterance a set: by speaker if the table names any, else by recording."""
    if any(name for _, name in rows):
        utt = next(utt for utt, name in rows if not name)
        raise UserError(f"{utt.source} has no split, other rows have. Give it for all or for none.")
    by_speaker = any(utt.speaker != utt.utt_id for utt, _ in rows)
    folder = Path(args.source).parent
    keys = [utt.speaker if by_speaker else os.path.relpath(utt.audio, folder) for utt, _ in rows]
    split, new = splits.keep_split(
        split_file, keys, args.seed, expected=corpus.made_from_split(args.out_dir, args.name),
        new_split=args.new_split,
    )  # fmt: skip
    what = "speakers" if by_speaker else "recordings"
    logging.info("%s: split by %s, %d of them, %d new", split_file, what, len(set(keys)), new)
    return [(utt, split[key]) for (utt, _), key in zip(rows, keys, strict=True)]


if __name__ == "__main__":
    run_corpus(main)
