#!/usr/bin/env python3
"""Corpus ``prompts``: real telephone prompts in five languages from Debian packages.

Recorded by one speaker a language, in parallel: the same key is the same sentence in every
language.  So the split is by key, and keys that share a text in any language go together.
Licences: CC BY-SA 3.0 (eng, spa, fra), CC BY 3.0 (ita, rus).
"""

import logging
from pathlib import Path

from asr_dro_plugin.data import corpus, splits
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.debian.asterisk import Line, Prompt, recordings, select, text_list
from asr_dro_plugin.data.debian.packages import folder_of, languages_of, read_packages
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.text.languages import choose, read_languages
from asr_dro_plugin.text.normalizers import Normalizer, get_normalizer, lower_no_punct

LOCAL = Path(__file__).resolve().parent


def main() -> None:
    """Fetch, select, split, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args()
    packages = read_packages(LOCAL / "debian_packages.tsv", ["asterisk"])
    names = languages_of(packages)
    langs = choose(args.langs, names, "corpus prompts (local/debian_packages.tsv)")
    normalize = get_normalizer(args.text_norm)
    root = folder_of(
        packages, langs, args.source, Path(args.downloads) / "prompts", every_list=True
    )
    lists = {iso: text_list(root, iso, lang, iso in langs) for iso, lang in names.items()}
    split_file = Path(args.out_dir) / "split_prompts.tsv"
    split = _split(lists, split_file, args)
    prompts = [p for iso in langs for p in recordings(root, iso, names[iso], lists[iso])]
    left_out = DropLedger()
    selected = list(select(prompts, left_out, read_languages(LOCAL / "languages.tsv")))
    corpus.write_left_out(left_out, Path(args.out_dir) / "left_out_prompts.tsv")
    sets = {name: _one_set(selected, split, name, normalize) for name in corpus.SETS}
    corpus.write_sets(args.out_dir, args.name, sets, args.lid, args.max_drop, split_file)


def _parser() -> OptionParser:
    parser = OptionParser("prompts", __doc__)
    parser.add_argument("--downloads", default="downloads", help="packages go to its prompts/")
    return parser


def _split(lists: dict[str, list[Line]], split_file: Path, args) -> dict[str, str]:
    """key -> set.  Keys that share a text in any language are one unit of the split."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for iso, lines in lists.items():
        for _, key, text in lines:
            text = lower_no_punct(text, iso)
            shared.setdefault((iso, text) if text else (iso, "", key), []).append(key)
    unit = splits.connected(shared.values())
    split, new = splits.keep_split(
        split_file, unit.values(), args.seed, new_split=args.new_split,
        expected=corpus.made_from_split(args.out_dir, args.name),
    )  # fmt: skip
    if new:
        logging.info("%s: %d texts were added, the others stay where they were", split_file, new)
    return {key: split[unit[key]] for key in unit}


def _one_set(
    prompts: list[Prompt], split: dict[str, str], name: str, normalize: Normalizer
) -> tuple[list[corpus.Utterance], DropLedger]:
    ledger = DropLedger()
    utterances = [
        corpus.Utterance(
            p.utt_id,
            str(p.audio),
            p.text,
            p.lang,
            f"{p.lang}_asterisk",
            source=p.source,
            corpus="prompts",
        )
        for p in prompts
        if split[p.key] == name
    ]
    corpus.refuse_duplicates(utterances)
    return corpus.clean(utterances, normalize, ledger), ledger


if __name__ == "__main__":
    run_corpus(main)
