"""Training and evaluation text: sentences with their language, read once, in file order.

A text is plain (one sentence a line) or Kaldi's (an utterance id first), gzip or not.
"""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.files import JOINT, MEGABYTE, SPECIAL, read_text
from asr_dro_plugin.text.normalizers import get_normalizer, recorded, split_tag

COLLECTED = "collect.json"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class Sentences:
    """The sentences of some files: iterate for (language, sentence), then read what was left out.

    The language tag is taken off, KenLM's symbols ``<s> </s> <unk>`` are dropped as its
    ``--skip_symbols`` does, the text is normalised; words are separated by single spaces.  The
    language is that of ``languages``, else the tag's, else ''.

    Attributes:
        paths: the files.
        text_norm: a normaliser, as ``text.normalizers.get_normalizer`` takes it.
        kaldi: whether an utterance id begins each line.
        languages: utterance id -> language; an id that is not there is left out.
        need_language: leave out what has neither language nor tag.
        num_sentences, num_empty, num_symbols: counted while iterating.
        unknown: ids (``file:line`` of a plain text) that were left out for want of a language.
    """

    paths: Sequence[str | os.PathLike]
    text_norm: str = "none"
    kaldi: bool = False
    languages: Mapping[str, str] | None = None
    need_language: bool = False
    num_sentences: int = field(default=0, init=False)
    num_empty: int = field(default=0, init=False)
    num_symbols: int = field(default=0, init=False)
    unknown: list[str] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        normalize = get_normalizer(self.text_norm)
        self.num_sentences = self.num_empty = self.num_symbols = 0
        self.unknown = []
        for place, utt_id, line in self._lines():
            tag, text = split_tag(line)
            lang = self.languages.get(utt_id) if self.languages is not None else tag or ""
            if lang is None or (self.need_language and not lang):
                self.unknown.append(utt_id or place)
                continue
            if sentence := normalize(self._without_symbols(text), lang):
                self.num_sentences += 1
                yield lang, sentence
            else:
                self.num_empty += 1

    def _lines(self) -> Iterator[tuple[str, str, str]]:
        """(place, utterance id or '', text) of each line that is not blank."""
        size = sum(os.path.getsize(path) for path in self.paths if os.path.isfile(path))
        with Progress(size // MEGABYTE, "read text, MB") as progress:
            for path in self.paths:
                for number, line in enumerate(read_text(path, progress), 1):
                    utt_id, text = "", line.strip()
                    if self.kaldi:
                        utt_id, _, text = text.replace("\t", " ").partition(" ")
                    if utt_id or text:
                        yield f"{path}:{number}", utt_id, text.strip()

    def _without_symbols(self, text: str) -> str:
        """The text without KenLM's own symbols; a NUL parts words, for KenLM reads it so."""
        words = text.replace("\0", " ").split()
        kept = [word for word in words if word not in SPECIAL] if "<" in text else words
        self.num_symbols += len(words) - len(kept)
        return " ".join(kept)


def sentences_of(
    paths: Sequence[str | os.PathLike],
    text_norm: str,
    groups: str | os.PathLike | None = None,
    kaldi: bool | None = None,
    need_language: bool = False,
) -> Sentences:
    """The sentences of a command line.

    Args:
        paths, text_norm, need_language: as ``Sentences``.
        groups: utt2lang of the ids.
        kaldi: whether an id begins each line; None: where ``groups`` is given.

    Raises:
        UserError: languages of ids that no line has.
    """
    languages = read_table(groups, allow_empty_value=False) if groups else None
    if languages is not None and kaldi is False:
        raise UserError("--groups needs utterance ids, and --kaldi false says there are none.")
    has_ids = languages is not None if kaldi is None else kaldi
    return Sentences(paths, text_norm, has_ids, languages, need_language)


def collect(sentences: Sentences, out_dir: str | os.PathLike, per: str = JOINT) -> dict[str, int]:
    """Write the text of each model, ``out_dir/<name>.txt``, and ``collect.json`` when all is there.

    Texts of an earlier run are removed.  ``per`` is ``joint`` (one text of all), ``language`` (one
    each), or ``both``.  Gives the number of sentences of each name.

    Raises:
        UserError: nothing is left to write, or a language cannot name a file.
    """
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    (out / COLLECTED).unlink(missing_ok=True)  # it says that the texts are whole
    for old in out.glob("*.txt"):
        old.unlink()
    counts: dict[str, int] = {}
    with ExitStack() as files:
        streams: dict[str, io.TextIOBase] = {}
        for lang, sentence in sentences:
            for name in {"joint": [JOINT], "language": [lang], "both": [JOINT, lang]}[per]:
                if name not in streams:
                    streams[name] = files.enter_context(atomic_write(_text_of(out, name)))
                streams[name].write(sentence + "\n")
                counts[name] = counts.get(name, 0) + 1
        if not counts:
            raise UserError(_nothing(sentences))
    counts = dict(sorted(counts.items()))
    with atomic_write(out / COLLECTED) as stream:
        about = {"text_norm": recorded(sentences.text_norm), "sentences": counts}
        json.dump(about, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    return counts


def collected(text_dir: str | os.PathLike) -> tuple[str, dict[str, Path]]:
    """Text normaliser and name -> text of a folder that ``collect`` wrote.

    Raises:
        UserError: it is not there, is unfinished or lacks a text.
    """
    path = Path(text_dir) / COLLECTED
    try:
        found = json.loads(path.read_text("utf-8"))
        texts = {name: Path(text_dir) / f"{name}.txt" for name in found["sentences"]}
        if all(text.is_file() for text in texts.values()):
            return found["text_norm"], texts
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UserError(
        f"{text_dir} holds no finished texts. Run stage 6, or: asr-dro lm collect --out {text_dir}"
    )


def _text_of(out: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UserError(f"The language '{name}' cannot name a file. Use ISO 639-3 codes.")
    return out / f"{name}.txt"


def _nothing(sentences: Sentences) -> str:
    """Why no sentence came of a text."""
    where = " ".join(str(path) for path in sentences.paths)
    if not sentences.unknown:
        return f"{where} holds no sentence ({sentences.num_empty} empty). Give some text."
    if sentences.languages is None:
        return f"{where}: no line has a language tag. Give --groups utt2lang, or --per joint."
    return (
        f"{where}: none of its ids is in --groups (first: {sentences.unknown[0]}). "
        "Give the utt2lang of this text; a plain text has no ids and needs --kaldi false."
    )
