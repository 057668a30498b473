#!/usr/bin/env python3
"""Corpus ``ml_superb``: the ML-SUPERB tree, for one language set or for all of it.

``<root>/<corpus>/<lang>/{wav,transcript_{10min,1h}_train.txt,transcript_10min_{dev,test}.txt}``;
a transcript line is an utterance id, a field that is not used, and the text.  The files name no
speakers, so each utterance is its own.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.data import corpus
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.text.languages import choose, language_set, read_languages
from asr_dro_plugin.text.normalizers import get_normalizer

LOCAL = Path(__file__).resolve().parent
DURATIONS = ("10min", "1h")
GROUPINGS = ("lang", "lang_corpus")
NOT_SPEECH = re.compile(r"\[[^][]*\]")  # [laughter] and the like


def main() -> None:
    """Choose folders, read transcripts, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args()
    root = Path(args.source)
    if not args.source or not root.is_dir():
        raise UserError(
            f"--data_source '{args.source}' is not the ML-SUPERB folder. Name it there, or set "
            "ML_SUPERB in db.sh."
        )
    normalize = get_normalizer(args.text_norm)
    folders = choose_folders(root, args)
    reserved = _reserved(folders)
    sets = {}
    for name in corpus.SETS:
        utterances = [
            utt
            for folder in folders
            for utt in read_transcript(folder, name, args.duration, args.group_by, reserved)
        ]
        corpus.refuse_duplicates(utterances)
        ledger = DropLedger()
        sets[name] = corpus.clean(utterances, normalize, ledger), ledger
    corpus.refuse_duplicates([utt for kept, _ in sets.values() for utt in kept])
    for lang in sorted(reserved.keys() - {utt.lang for utt in sets["train"][0]}):
        logging.warning("%s: none of its utterances in local/few_shot.tsv is in %s", lang, root)
    corpus.write_sets(args.out_dir, args.name, sets, args.lid, args.max_drop)


def _parser() -> OptionParser:
    parser = OptionParser("ml_superb", __doc__)
    parser.add_argument("--duration", default="10min", choices=DURATIONS, help="training data")
    parser.add_argument("--language_set", default="", help="from local/languages.tsv, e.g. set1")
    parser.add_argument("--group_by", default="lang", choices=GROUPINGS, help="what a group is")
    parser.add_switch("--few_shot", "true: reserved languages take part with 5 training "
                      "utterances; false: not at all", True)  # fmt: skip
    return parser


def choose_folders(root: Path, args) -> list[Path]:
    """The ``<corpus>/<lang>`` folders that --langs, --language_set and --few_shot ask for."""
    table = read_languages(LOCAL / "languages.tsv")
    folders = sorted(p.parent for p in root.glob("*/*/transcript_10min_dev.txt"))
    if not folders:
        raise UserError(
            f"{root} has no <corpus>/<lang>/transcript_10min_dev.txt. Correct --data_source."
        )
    here = {p.name for p in folders}
    members = language_set(args.language_set, table) if args.language_set else {}
    choose(args.langs, table, "local/languages.tsv")
    langs = choose(args.langs or " ".join(members), here, str(root))
    for lang in langs:
        if lang not in table:
            raise UserError(
                f"{root} has language '{lang}', which local/languages.tsv lacks."
                f"{suggestion(lang, table)} Add a row for it, or choose others with --langs."
            )
    if not args.few_shot:
        langs = [lang for lang in langs if not table[lang].few_shot]
    wanted = [
        p for p in folders if p.name in langs and members.get(p.name) in (None, "", p.parent.name)
    ]
    _refuse_gaps(wanted, langs, members, root)
    return wanted


def _refuse_gaps(wanted: list[Path], langs: list[str], members: dict[str, str], root: Path) -> None:
    missing = sorted(set(langs) - {p.name for p in wanted})
    if missing:
        names = " ".join(f"{members.get(lang) or '*'}/{lang}" for lang in missing)
        raise UserError(f"{root} lacks {names}. Add what is missing, or choose with --langs.")
    if not wanted:
        raise UserError("No language is left: all that were asked for are reserved (--few_shot).")


def _reserved(folders: list[Path]) -> dict[str, set[str]]:
    """Reserved language -> ids of its training utterances, for those among ``folders``."""
    table = read_languages(LOCAL / "languages.tsv")
    listed = {}
    for line in read_lines(LOCAL / "few_shot.tsv"):
        lang, _, utt_ids = line.partition("\t")
        listed[lang] = set(utt_ids.split())
    return {
        lang: listed.get(lang, set()) for lang in {p.name for p in folders} if table[lang].few_shot
    }


def read_transcript(
    folder: Path, name: str, duration: str, group_by: str, reserved: dict[str, set[str]]
) -> Iterator[corpus.Utterance]:
    """Utterances of one set (train, dev, test) of one ``<corpus>/<lang>`` folder."""
    lang, source = folder.name, folder.parent.name
    path = folder / f"transcript_{duration if name == 'train' else '10min'}_{name}.txt"
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split(None, 2)
        if not fields:
            continue
        if name == "train" and lang in reserved and fields[0] not in reserved[lang]:
            continue
        _, utt_id = corpus.kaldi_ids(lang, fields[0], fields[0])
        yield corpus.Utterance(
            utt_id, str(folder / "wav" / f"{fields[0]}.wav"),
            NOT_SPEECH.sub(" ", fields[2]) if len(fields) == 3 else "", lang, utt_id,
            category=lang if group_by == "lang" else f"{lang}_{source}", source=f"{path}:{number}",
            corpus=source,
        )  # fmt: skip


if __name__ == "__main__":
    run_corpus(main)
