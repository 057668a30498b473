#!/usr/bin/env python3
"""Corpus ``debian``: 6.8 hours of recorded speech in thirteen languages.

From Debian packages: names of pictures, read by one volunteer a language (tuxpaint), dialogues of
a game in Czech and Dutch, played by actors (fillets), and telephone prompts (asterisk).  Unbalanced
by nature.  The split is by what is said: a picture, a room of the game, a prompt's key.
Licences: GPL-2, CC BY-SA 3.0, CC BY 3.0 (local/corpora.tsv).
"""

import logging
import math
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.data import corpus, splits
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.debian import asterisk, fillets, tuxpaint
from asr_dro_plugin.data.debian.packages import folder_of, languages_of, read_packages
from asr_dro_plugin.data.debian.selection import (
    refuse_silent_languages,
    select,
    without_shared_texts,
)
from asr_dro_plugin.data.debian.spoken import Spoken
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.text.languages import Language, choose, read_languages
from asr_dro_plugin.text.normalizers import Normalizer, get_normalizer

LOCAL = Path(__file__).resolve().parent
SOURCES = ("tuxpaint", "fillets", "asterisk")
# Some languages have five minutes in all, and the game has 80 rooms: a tenth would be too little.
FRACTIONS = {"train": 0.7, "dev": 0.15, "test": 0.15}


def main() -> None:
    """Fetch, pair, select, split, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args()
    packages = read_packages(LOCAL / "debian_packages.tsv", SOURCES)
    langs = choose(args.langs, languages_of(packages), "corpus debian (local/debian_packages.tsv)")
    normalize, table = get_normalizer(args.text_norm), read_languages(LOCAL / "languages.tsv")
    root = folder_of(packages, langs, args.source, Path(args.downloads) / "debian")
    names = {
        source: {i: n for i, n in languages_of(p for p in packages if p.source == source).items()
                 if i in langs}
        for source in SOURCES
    }  # fmt: skip
    left_out = DropLedger()
    durations: dict[Path, float] = {}
    spoken = list(select(_spoken(root, names, left_out, table), left_out, durations))
    refuse_silent_languages(spoken, langs, root)
    split_file = Path(args.out_dir) / "split_debian.tsv"
    sets = without_shared_texts(_by_set(spoken, split_file, args), left_out)
    if args.max_minutes:
        sets["train"] = within_minutes(sets["train"], durations, args.max_minutes, args.seed)
    whole = {name: _one_set(lines, durations, normalize) for name, lines in sets.items()}
    corpus.write_left_out(left_out, Path(args.out_dir) / "left_out_debian.tsv")
    corpus.write_sets(args.out_dir, args.name, whole, args.lid, args.max_drop, split_file)


def _parser() -> OptionParser:
    parser = OptionParser("debian", __doc__)
    parser.add_argument("--downloads", default="downloads", help="packages go to its debian/")
    parser.add_argument(
        "--max_minutes", type=_minutes, help="most minutes of a language in train; all if not given"
    )
    return parser


def _minutes(word: str) -> float:
    """A positive number of minutes."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"'{word}' is not a positive number of minutes")
    return value


def _spoken(
    root: Path,
    names: Mapping[str, Mapping[str, str]],
    left_out: DropLedger,
    table: Mapping[str, Language],
) -> Iterator[Spoken]:
    """What the sources have of each language; ``names``: source -> ISO code -> its own name."""
    yield from tuxpaint.read(root, names["tuxpaint"]) if names["tuxpaint"] else ()
    yield from fillets.read(root, names["fillets"]) if names["fillets"] else ()
    for iso, lang in names["asterisk"].items():
        lines = asterisk.text_list(root, iso, lang)
        prompts = asterisk.recordings(root, iso, lang, lines)
        yield from map(asterisk.spoken, asterisk.select(prompts, left_out, table))


def _by_set(spoken: list[Spoken], split_file: Path, args) -> dict[str, list[Spoken]]:
    split, _ = splits.keep_split(
        split_file, {line.unit for line in spoken}, args.seed, FRACTIONS, new_split=args.new_split,
        expected=corpus.made_from_split(args.out_dir, args.name),
    )  # fmt: skip
    return {name: [s for s in spoken if split[s.unit] == name] for name in corpus.SETS}


def within_minutes(
    spoken: Iterable[Spoken], durations: Mapping[Path, float], minutes: float, seed: int
) -> list[Spoken]:
    """At most so many minutes of each language, chosen by seed and utterance id alone.

    So what ten minutes hold, twenty hold too, and a recording more moves few others.
    """
    used: dict[str, float] = {}
    kept = []
    for line in sorted(spoken, key=lambda s: (splits.position(s.ids[1], seed), s.ids[1])):
        used[line.lang] = used.get(line.lang, 0.0) + durations.get(line.audio, 0.0)
        if used[line.lang] <= 60 * minutes:
            kept.append(line)
    return kept


def _one_set(
    spoken: Iterable[Spoken], durations: Mapping[Path, float], normalize: Normalizer
) -> tuple[list[corpus.Utterance], DropLedger]:
    ledger = DropLedger()
    utterances = []
    for line in spoken:
        speaker, utt_id = line.ids
        utterances.append(
            corpus.Utterance(
                utt_id, str(line.audio), line.text, line.lang, speaker,
                source=line.source, corpus=line.corpus,
            )
        )  # fmt: skip

    def measure(path: str) -> float:
        return durations.get(Path(path)) or corpus.audio_duration(path)

    return corpus.clean(utterances, normalize, ledger, measure), ledger


if __name__ == "__main__":
    run_corpus(main)
