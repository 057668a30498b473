"""Telephone prompts of ``asterisk-core-sounds-*``: a list of texts, and a folder with a voice.

Recorded by one speaker a language, in parallel: the same key is the same sentence in every
language.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.data import corpus
from asr_dro_plugin.data.debian.spoken import Spoken, decoded, reason_to_leave_out, seconds_of
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.languages import Language
from asr_dro_plugin.text.normalizers import lower_no_punct

Line = tuple[str, str, str]  # file:line, key, text
SUFFIXES = (".g722", ".wav", ".flac")


@dataclass(frozen=True)
class Prompt:
    """One line of a text list and its recording."""

    lang: str
    key: str
    text: str
    audio: Path
    source: str

    @property
    def utt_id(self) -> str:
        """As Kaldi has it."""
        return corpus.kaldi_ids(self.lang, "asterisk", f"asterisk-{self.key}")[1]


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
    for number, line in enumerate(decoded(path, raw).splitlines(), 1):
        key, colon, text = line.partition(":")
        if line.strip() and not line.startswith(";"):
            if not colon or not key.strip():
                raise UserError(f"{path}:{number} is not 'key: text'. Take the package's own file.")
            yield f"{path}:{number}", key.strip(), text.strip()


def select(
    prompts: Iterable[Prompt], left_out: DropLedger, table: Mapping[str, Language]
) -> Iterator[Prompt]:
    """Leave out prompts that are not plain speech, each with its reason."""
    seen: set[tuple[str, str]] = set()  # (language, text) and (language, utterance id)
    for p in prompts:
        text = lower_no_punct(p.text, p.lang)
        reason = reason_to_leave_out(p.text, text, seconds_of(p.audio), table[p.lang].script)
        if not reason and p.key.startswith("letters/"):
            reason = "a spelled letter"  # its name, where the list does not give the letter alone
        if not reason and not seen.isdisjoint({(p.lang, text), (p.lang, p.utt_id)}):
            reason = "repeats another prompt"
        if reason:
            left_out.add(p.utt_id, p.lang, reason, p.text)
        else:
            seen |= {(p.lang, text), (p.lang, p.utt_id)}
            yield p


def spoken(prompt: Prompt) -> Spoken:
    """A prompt among other sources' recordings; its licences are those of corpus ``prompts``."""
    p = prompt
    unit = f"prompt/{p.key}"
    return Spoken(p.lang, "prompts", "asterisk", p.key, unit, p.text, p.audio, p.source)
