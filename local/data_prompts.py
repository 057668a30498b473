#!/usr/bin/env python3
"""Corpus ``prompts``: real telephone prompts in five languages from Debian packages.

Recorded by one speaker a language, in parallel: the same key is the same sentence in every
language.  So the split is by key, and keys that share a text in any language go together.
Licences: CC BY-SA 3.0 (eng, spa, fra), CC BY 3.0 (ita, rus).
"""

import gzip
import logging
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debian import Package, read_packages, unpacked

from asr_dro_plugin.data import corpus, splits
from asr_dro_plugin.data.corpus_options import OptionParser, run_corpus
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.languages import choose, read_languages
from asr_dro_plugin.text.normalizers import Normalizer, get_normalizer, lower_no_punct

LOCAL = Path(__file__).resolve().parent
Line = tuple[str, str, str]  # file:line, key, text
SLOWEST, FASTEST = 2.5, 25.0  # characters/s; outside, text and recording do not belong together
SUFFIXES = (".g722", ".wav", ".flac")
SCRIPTS = {"Latn": "LATIN", "Cyrl": "CYRILLIC"}  # ISO 15924 -> first word of Unicode's names


@dataclass(frozen=True)
class Prompt:
    """One line of a text list and its recording."""

    lang: str
    key: str
    text: str
    audio: Path
    source: str


def main() -> None:
    """Fetch, select, split, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args()
    packages = read_packages(LOCAL / "asterisk_prompts.tsv")
    names = {p.iso: p.lang for p in packages}
    langs = choose(args.langs, names, "corpus prompts (local/asterisk_prompts.tsv)")
    normalize = get_normalizer(args.text_norm)
    root = _root(packages, langs, args.source, Path(args.downloads))
    lists = {iso: text_list(root, iso, lang, iso in langs) for iso, lang in names.items()}
    split_file = Path(args.out_dir) / "split_prompts.tsv"
    split = _split(lists, split_file, args)
    prompts = [p for iso in langs for p in recordings(root, iso, names[iso], lists[iso])]
    left_out = DropLedger()
    selected = list(select(prompts, left_out))
    corpus.write_left_out(left_out, Path(args.out_dir) / "left_out_prompts.tsv")
    sets = {name: _one_set(selected, split, name, normalize) for name in corpus.SETS}
    corpus.write_sets(args.out_dir, args.name, sets, args.lid, args.max_drop, split_file)


def _parser() -> OptionParser:
    parser = OptionParser("prompts", __doc__)
    parser.add_argument("--downloads", default="downloads", help="packages go to its prompts/")
    return parser


def _root(packages: list[Package], langs: list[str], source: str, downloads: Path) -> Path:
    """The folder to read: the user's own tree, or one unpacked from packages.

    The text lists of all languages are always fetched: the split depends on them.
    """
    if source and not Path(source).is_dir():
        raise UserError(f"--data_source {source} is not a folder. Correct it, or leave it out.")
    if source and not any(Path(source).rglob("*.deb")):
        return Path(source)
    needed = [p for p in packages if p.iso in langs or (not source and p.holds_texts)]
    return unpacked(needed, downloads / "prompts", Path(source) if source else None)


def text_list(root: Path, iso: str, lang: str, required: bool = True) -> list[Line]:
    """The lines of one language's text list; none if it is not there and not required."""
    patterns = [f"**/core-sounds-{name}.txt{gz}" for name in (lang, iso) for gz in (".gz", "")]
    path = _first(root, patterns)
    if path is None and required:
        raise UserError(f"{root} has no core-sounds-{lang}.txt.gz. Add it, or omit --data_source.")
    return list(_read_list(path)) if path else []


def recordings(root: Path, iso: str, lang: str, lines: list[Line]) -> list[Prompt]:
    """The prompts of one language below ``root``; a recording's file may be missing."""
    voice = _first(root, [f"**/{name}" for name in (f"{lang}_[A-Z]*", lang, iso)], folder=True)
    if voice is None:
        raise UserError(f"{root} has no folder {lang}_*/, {lang}/ or {iso}/ with recordings.")
    return [Prompt(iso, key, text, _recording(voice, key), where) for where, key, text in lines]


def _first(root: Path, patterns: list[str], folder: bool = False) -> Path | None:
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            if path.is_dir() == folder:
                return path
    return None


def _recording(voice: Path, key: str) -> Path:
    """The recording of a key in whichever format is there; the first format's name if none is."""
    names = [voice / f"{key}{suffix}" for suffix in SUFFIXES]
    return next((name for name in names if name.exists()), names[0])


def _read_list(path: Path) -> Iterator[Line]:
    """Lines of a ``key: text`` list; ``;`` begins a comment."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line} is not UTF-8. Take the package's own file.") from None
    for number, line in enumerate(lines, 1):
        key, colon, text = line.partition(":")
        if line.strip() and not line.startswith(";"):
            if not colon or not key.strip():
                raise UserError(f"{path}:{number} is not 'key: text'. Take the package's own file.")
            yield f"{path}:{number}", key.strip(), text.strip()


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


def select(prompts: list[Prompt], left_out: DropLedger) -> Iterator[Prompt]:
    """Leave out prompts that are not plain speech, each with its reason."""
    seen: set[tuple[str, str]] = set()  # (language, text) and (language, utterance id)
    table = read_languages(LOCAL / "languages.tsv")
    for p in prompts:
        text = lower_no_punct(p.text, p.lang)
        reason = reason_to_leave_out(p.text, text, _seconds(p.audio), table[p.lang].script)
        if not reason and p.key.startswith("letters/"):
            reason = "a spelled letter"  # its name, where the list does not give the letter alone
        if not reason and not seen.isdisjoint({(p.lang, text), (p.lang, _utt_id(p))}):
            reason = "repeats another prompt"
        if reason:
            left_out.add(_utt_id(p), p.lang, reason, p.text)
        else:
            seen |= {(p.lang, text), (p.lang, _utt_id(p))}
            yield p


def reason_to_leave_out(raw: str, text: str, seconds: float | None, script: str = "") -> str:
    """Why a prompt is no use for recognition, or an empty string.

    Args:
        raw: as in the list; text: normalised; seconds: of the recording, None if unknown.
        script: ISO 15924 code that all letters must belong to; other codes than Latn and Cyrl
            are not checked.
    """
    if re.search(r"\d", raw):
        return "has digits"
    if re.search(r"[][(){}<>]", raw):
        return "has brackets"
    if not text:
        return "no text"
    if len(text) == 1:
        return "a single letter"
    if script in SCRIPTS and not all(_is_in(char, SCRIPTS[script]) for char in text):
        return "letters of another script"
    if seconds and not SLOWEST <= len(text) / seconds <= FASTEST:
        return "implausible rate"
    return ""


def _is_in(char: str, script: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith(script)


def _seconds(audio: Path) -> float | None:
    try:
        return corpus.audio_duration(str(audio))
    except UserError:
        return None  # missing or damaged: corpus.clean counts it


def _utt_id(p: Prompt) -> str:
    return corpus.kaldi_ids(p.lang, "asterisk", f"asterisk-{p.key}")[1]


def _one_set(
    prompts: list[Prompt], split: dict[str, str], name: str, normalize: Normalizer
) -> tuple[list[corpus.Utterance], DropLedger]:
    ledger = DropLedger()
    utterances = [
        corpus.Utterance(
            _utt_id(p),
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
