#!/usr/bin/env python3
"""Corpus ``librispeech``: a folder in LibriSpeech's layout, as it is unpacked.

``<root>/<part>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac`` beside
``<speaker>-<chapter>.trans.txt``, whose lines are an utterance id and the text.  Parts whose names
begin with train, dev and test make the three sets; English is the language.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.data import corpus
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.languages import choose
from asr_dro_plugin.text.normalizers import get_normalizer

LANG = "eng"


def main() -> None:
    """Find the parts, read their transcripts, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = OptionParser("librispeech", __doc__).parse_args()
    choose(args.langs, {LANG}, "the LibriSpeech layout")
    root = find_root(args.source)
    normalize = get_normalizer(args.text_norm)
    sets = {}
    for name in corpus.SETS:
        utterances = [utt for part in sorted(root.glob(f"{name}*")) for utt in read_part(part)]
        ledger = DropLedger()
        sets[name] = corpus.clean(utterances, normalize, ledger), ledger
    corpus.refuse_duplicates([utt for kept, _ in sets.values() for utt in kept])
    corpus.write_sets(args.out_dir, args.name, sets, args.lid, args.max_drop)


def find_root(source: str) -> Path:
    """The folder that holds the parts: ``source`` or the ``LibriSpeech`` below it."""
    for root in (Path(source), Path(source) / "LibriSpeech"):
        if source and any(root.glob("*/*/*/*.trans.txt")):
            return root
    raise UserError(
        f"--data_source '{source}' holds no <part>/<speaker>/<chapter>/*.trans.txt. Name the "
        "unpacked folder there, or set LIBRISPEECH in db.sh."
    )


def read_part(part: Path) -> Iterator[corpus.Utterance]:
    """Utterances of one part; audio that no transcript names is counted in the log."""
    named = set()
    for path in sorted(part.glob("*/*/*.trans.txt")):
        for number, line in enumerate(read_lines(path), 1):
            fields = line.split(None, 1)
            if not fields:
                continue
            audio = path.parent / f"{fields[0]}.flac"
            named.add(audio)
            speaker, utt_id = corpus.kaldi_ids(LANG, fields[0].split("-")[0], fields[0])
            yield corpus.Utterance(
                utt_id, str(audio), fields[1] if len(fields) == 2 else "", LANG, speaker,
                source=f"{path}:{number}", corpus="librispeech",
            )  # fmt: skip
    orphans = sorted(set(part.glob("*/*/*.flac")) - named)
    if orphans:
        logging.warning(
            "%s: %d recordings have no text (first: %s)", part, len(orphans), orphans[0]
        )


if __name__ == "__main__":
    run_corpus(main)
