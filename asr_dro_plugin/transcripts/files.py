"""Transcripts as files: Kaldi's ``text``, NIST's ``ctm`` and ``trn``, JSONL, subtitles, n-best.

Every writer takes one transcript at a time and keeps none, so that any number of them takes the
same memory.

| format | below a folder | holds |
|---|---|---|
| text  | ``text``                  | ``utt_id text`` |
| jsonl | ``hyp.jsonl``             | all there is to know, one transcript a line |
| ctm   | ``ctm``                   | ``utt_id 1 start duration word confidence``, seconds |
| trn   | ``hyp.trn``               | ``text (utt_id)`` |
| nbest | ``nbest``, ``nbest.tsv``  | ``utt_id-1 text``; the same with scores |
| srt, vtt | one file an utterance  | subtitles |
| txt   | one file an utterance     | the text, one line |
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.transcripts import subtitles
from asr_dro_plugin.transcripts.file_names import escape_id, file_names
from asr_dro_plugin.transcripts.transcript import Transcript, to_json

Line = Callable[[Transcript], str]  # the lines of one transcript, each with its newline
NBEST_COLUMNS = ("utt_id", "rank", "score", "am_score", "lm_score", "text")


def kaldi_id(utt_id: str) -> str:
    """The id as a Kaldi table can hold it: white space escaped as in a file's name."""
    return utt_id if utt_id and len(utt_id.split()) == 1 else escape_id(utt_id)


def refuse_alike_ids(utt_ids: Iterable[str]) -> None:
    """Raise where two ids would be one in a Kaldi table, as ``a 1`` and ``a%201`` would."""
    seen: dict[str, str] = {}
    for utt_id in utt_ids:
        other = seen.setdefault(kaldi_id(utt_id), utt_id)
        if other != utt_id:
            raise UserError(
                f"The ids '{other}' and '{utt_id}' would both be written '{kaldi_id(utt_id)}'. "
                "Rename one of them."
            )


def text_line(transcript: Transcript) -> str:
    """``utt_id text``."""
    return f"{kaldi_id(transcript.utt_id)} {transcript.text}".rstrip(" ") + "\n"


def ctm_lines(transcript: Transcript) -> str:
    """``file channel start duration word confidence`` of each word (NIST's sclite, ctm format)."""
    name = kaldi_id(transcript.utt_id)
    return "".join(
        f"{name} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.4f}\n"
        for word in transcript.best.words
    )


def trn_line(transcript: Transcript) -> str:
    """``text (utt_id)`` (NIST's sclite, trn format)."""
    return f"{transcript.text} ({kaldi_id(transcript.utt_id)})".lstrip(" ") + "\n"


def nbest_lines(transcript: Transcript) -> str:
    """``utt_id-rank text``, rank from 1."""
    name = kaldi_id(transcript.utt_id)
    texts = [each.text for each in transcript.hypotheses]
    return "".join(f"{name}-{rank} {text}".rstrip(" ") + "\n" for rank, text in enumerate(texts, 1))


def nbest_scores(transcript: Transcript) -> str:
    """The columns of ``NBEST_COLUMNS``; a score that the decoder does not tell is empty."""
    rows = []
    for rank, each in enumerate(transcript.hypotheses, 1):
        scores = [each.score, each.am_score, each.lm_score]
        words = ["" if score is None else f"{score:.6g}" for score in scores]
        rows.append("\t".join([transcript.utt_id, str(rank), *words, each.text]) + "\n")
    return "".join(rows)


# format -> files of one line or more for every transcript: name, header, lines
ONE_FILE: dict[str, tuple[tuple[str, str, Line], ...]] = {
    "text": (("text", "", text_line),),
    "jsonl": (("hyp.jsonl", "", lambda transcript: to_json(transcript) + "\n"),),
    "ctm": (("ctm", "", ctm_lines),),
    "trn": (("hyp.trn", "", trn_line),),
    "nbest": (
        ("nbest", "", nbest_lines),
        ("nbest.tsv", "\t".join(NBEST_COLUMNS) + "\n", nbest_scores),
    ),
}
# format, which is the ending too -> content of a transcript's file
ONE_FILE_EACH: dict[str, Line] = {
    "srt": lambda transcript: subtitles.srt(transcript.best),
    "vtt": lambda transcript: subtitles.vtt(transcript.best),
    "txt": lambda transcript: transcript.text + "\n",
}
FORMATS = (*ONE_FILE, *ONE_FILE_EACH)
NEED_TIMES = frozenset({"ctm", "srt", "vtt"})


def parse_formats(words: str, option: str) -> tuple[str, ...]:
    """Formats named in an option's value, each once.

    Raises:
        UserError: no format at all, or one that is not known.
    """
    names = tuple(dict.fromkeys(words.replace(",", " ").split()))
    for name in names:
        if name not in FORMATS:
            raise UserError(
                f"{option} {name} is not known.{suggestion(name, FORMATS)} "
                f"Known: {' '.join(FORMATS)}."
            )
    if not names:
        raise UserError(f"{option} names no format. Give some of {' '.join(FORMATS)}.")
    return names


def content_of(name: str, transcript: Transcript) -> str:
    """What a format of one file says of a transcript, its header left out."""
    if name in ONE_FILE_EACH:
        return ONE_FILE_EACH[name](transcript)
    return "".join(line(transcript) for _, _, line in ONE_FILE[name])


class TranscriptFiles:
    """Files of some formats, written transcript by transcript.

    A file for all appears when the last transcript is in it; after an exception the earlier one
    stays.  Of formats with a file for each utterance, each is whole or absent.

    Args:
        folder: where they are.
        formats: names in ``FORMATS``.
        utt_ids: all utterances to come, which decide the files' names.
        folders: whether ``srt``, ``vtt`` and ``txt`` have a folder each below ``folder``, emptied
            first; else they lie in ``folder`` itself, beside what is there.

    Raises:
        UserError: an id that cannot be a file's name, where a format needs it; two ids that a
            table could not tell apart.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        formats: Iterable[str],
        utt_ids: Collection[str],
        folders: bool = True,
    ) -> None:
        self.folder, self.folders = Path(folder), folders
        self.formats = tuple(formats)
        self._each = [name for name in self.formats if name in ONE_FILE_EACH]
        stems = file_names(utt_ids, ending="") if self._each else {}
        self._stems = {utt_id: stem for utt_id, stem in stems.items() if stem != escape_id(utt_id)}
        refuse_alike_ids(utt_ids)
        self._stack = contextlib.ExitStack()
        self._open: list[tuple[object, Line]] = []

    def __enter__(self) -> "TranscriptFiles":
        for name in self._each:
            folder = self._folder_of(name)
            if self.folders and folder.is_dir():
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            one_files = [each for name in self.formats for each in ONE_FILE.get(name, ())]
            for file, header, line in one_files:
                stream = stack.enter_context(atomic_write(self.folder / file))
                stream.write(header)
                self._open.append((stream, line))
            self._stack = stack.pop_all()
        return self

    def targets(self, utt_ids: Iterable[str]) -> list[Path]:
        """The files that transcripts of these ids are written to."""
        one_files = [each for name in self.formats for each in ONE_FILE.get(name, ())]
        files = [self.folder / name for name, _, _ in one_files]
        return files + [self._path(name, utt_id) for name in self._each for utt_id in utt_ids]

    def _path(self, name: str, utt_id: str) -> Path:
        stem = self._stems.get(utt_id) or escape_id(utt_id)
        return self._folder_of(name) / f"{stem}.{name}"

    def _folder_of(self, name: str) -> Path:
        return self.folder / name if self.folders else self.folder

    def add(self, transcript: Transcript) -> None:
        """Write one more transcript."""
        for stream, line in self._open:
            stream.write(line(transcript))
        for name in self._each:
            path = self._path(name, transcript.utt_id)
            growing = path.with_name(f".{path.stem[:40]}.tmp")
            growing.write_text(ONE_FILE_EACH[name](transcript), encoding="utf-8", newline="\n")
            os.replace(growing, path)

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)
