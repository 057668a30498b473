#!/usr/bin/env python3
"""Corpus ``kaldi``: Kaldi directories that are there already, as ESPnet's recipes leave in data/.

``--data_source data`` is the folder that holds them, ``--sets "train=train_nodev dev=train_dev"``
their names where they are not train, dev and test.  Read are ``wav.scp``, ``text``, and, where they
are there, ``segments utt2spk utt2dur utt2lang utt2category utt2corpus``.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from asr_dro_plugin.audio.sources import is_pipe
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data import corpus, overlaps
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.data.kaldi_names import NamesApart
from asr_dro_plugin.data.wav_scp import read_items
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.languages import choose, iso_code
from asr_dro_plugin.text.normalizers import get_normalizer

LANGUAGES = Path(__file__).resolve().parent / "languages.tsv"
ARCHIVE = re.compile(r"\.ark:\d+")


def main() -> None:
    """Read the directories, write ours."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = OptionParser("kaldi", __doc__)
    parser.add_argument("--sets", default="", help='"train=NAME dev=NAME test=NAME"')
    args = parser.parse_args()
    folders, normalize = find_folders(args.source, args.sets), get_normalizer(args.text_norm)
    one_lang = args.langs if len(args.langs.split()) == 1 else ""
    apart = NamesApart()
    found = {name: list(read_set(path, one_lang, apart)) for name, path in folders.items()}
    everything = [utt for utterances in found.values() for utt in utterances]
    corpus.refuse_duplicates(everything)
    wanted = choose(args.langs, {utt.lang for utt in everything}, args.source)
    sets = {}
    for name, utterances in found.items():
        ledger = DropLedger()
        kept = corpus.clean([u for u in utterances if u.lang in wanted], normalize, ledger)
        sets[name] = kept, ledger
    for note in overlaps.notes(overlaps.overlaps({name: kept for name, (kept, _) in sets.items()})):
        logging.info("%s: %s", args.source, note)
    corpus.write_sets(args.out_dir, args.name, sets, args.lid, args.max_drop)


def find_folders(source: str, names: str) -> dict[str, Path]:
    """The directory of each set; ``names`` are ``set=NAME`` words."""
    given = dict(word.partition("=")[::2] for word in names.split())
    if wrong := given.keys() - set(corpus.SETS):
        raise UserError(f"--sets names {min(wrong)}. Legal: {' '.join(corpus.SETS)}.")
    folders = {name: Path(source, given.get(name) or name) for name in corpus.SETS}
    for name, folder in folders.items():
        if not source or not (folder / "wav.scp").is_file():
            there = sorted(path.parent.name for path in Path(source or ".").glob("*/wav.scp"))
            raise UserError(
                f"--data_source '{source}' has no {folder.name}/wav.scp for the set {name}. Name "
                f"the folder of the Kaldi directories, and theirs: --sets '{name}=NAME'. There "
                f"are: {' '.join(there) or 'none'}."
            )
    return folders


def read_set(folder: Path, one_lang: str, apart: NamesApart) -> Iterator[corpus.Utterance]:
    """Utterances of one directory; ``one_lang`` is the language where no utt2lang tells it."""
    items, texts = read_items(folder, allow_pipes=True), read_table(folder / "text")
    language = _column(folder, "utt2lang", one_lang) or _without_languages(folder)
    speaker, category = _column(folder, "utt2spk"), _column(folder, "utt2category")
    published = _column(folder, "utt2corpus")
    for item in items:
        name = item.utt_id
        lang = iso_code(language(name), f"{folder}/utt2lang: {name}", LANGUAGES)
        where = f"{folder}/wav.scp: {name}"
        own = speaker(name) if speaker else name
        spk, utt_id = corpus.kaldi_ids(lang, own, name)
        if speaker:
            apart.note("speaker", own, spk, where)
        end = None if item.end is None else item.end - (item.start or 0.0)
        yield corpus.Utterance(
            utt_id, str(_audio(item.path, folder)), texts[name], lang, spk,
            item.declared if item.start is None else end, category(name) if category else lang,
            item.start, item.end, where, published(name) if published else "",
        )  # fmt: skip


def _column(folder: Path, name: str, default: str = "") -> Callable[[str], str] | None:
    """Utterance -> its word of a table; ``default`` where there is no table, None without both."""
    if not (folder / name).is_file():
        return (lambda utt_id: default) if default else None
    table = read_table(folder / name, allow_empty_value=False)

    def word(utt_id: str) -> str:
        if utt_id not in table:
            raise UserError(f"{folder}/{name} lacks '{utt_id}'. Add a line for it.")
        return table[utt_id]

    return word


def _without_languages(folder: Path) -> Callable[[str], str]:
    raise UserError(
        f"{folder} has no utt2lang, which tells each utterance's language. Of one language say it: "
        f"--langs eng. Else make it, one line an utterance with its ISO 639-3 code: "
        f"awk '{{print $1, \"eng\"}}' {folder}/text > {folder}/utt2lang"
    )


def _audio(path: str, folder: Path) -> Path:
    """A sound file of wav.scp; a relative name starts at the recipe, where its ``data`` lies."""
    if is_pipe(path):
        raise UserError(
            f"{folder}/wav.scp runs commands ({path}). Write their audio out: mkdir -p {folder}/wav"
            f' && while read -r id cmd; do bash -c "${{cmd%|}}" >{folder}/wav/$id.wav </dev/null &&'
            f' echo "$id {folder}/wav/$id.wav"; done <{folder}/wav.scp >{folder}/wav.scp.new && '
            f"mv {folder}/wav.scp.new {folder}/wav.scp"
        )
    if ARCHIVE.search(path):
        raise UserError(
            f"{folder}/wav.scp names a place in an archive ({path}). Give the directories from "
            "before they were dumped: ESPnet's data, not dump."
        )
    places = (Path(path), folder.parent.parent / path, folder / path)
    return next((place for place in places if os.path.exists(place)), places[0])


if __name__ == "__main__":
    run_corpus(main)
