"""Transcripts of a decoding that is under way, such that a kill at any moment loses none of them.

parts/hyp.1of2.jsonl.partial  one transcript a line in the order of decoding; the last line may be
                              cut off
parts/hyp.1of2.jsonl          the same file once it is whole
parts/hyp.1of2.jsonl.source   what they were made from (JSON); transcripts of another source are
                              never added to them
"""

import contextlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from asr_dro_plugin.base.files import atomic_write, sync_folder
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.transcript import Transcript, from_json, to_json

PARTIAL, SOURCE = ".partial", ".source"
Source = Mapping[str, str]  # for example model -> SHA-256 of its file


class GrowingHypotheses:
    """The transcripts of one part: goes on where an earlier process was killed.

    Args:
        path: where they are once they are whole.
        source: what they are made from; whatever is there from another source is removed once
            the first transcript can be added (``with``), not by a start that then fails.
        utt_ids: utterances of the part.

    Attributes:
        done: utterances whose transcripts are on the disk.
        is_whole: whether an earlier process has finished this part.
    """

    def __init__(self, path: str | os.PathLike, source: Source, utt_ids: Collection[str]) -> None:
        self.path, self.utt_ids = Path(path), set(utt_ids)
        self.growing = _beside(self.path, PARTIAL)
        self.source, self.done, self.is_whole = dict(source), set(), False
        self._before = _read_source(_beside(self.path, SOURCE))
        if self._before == self.source:
            self._go_on()
        self._stream: IO[str] | None = None

    def _go_on(self) -> None:
        """Find what is done, and cut off what a kill has left of a last line."""
        there, size = _ids_and_size(self.path)
        self.is_whole = self.path.exists() and self.utt_ids <= there
        if not self.is_whole:
            if self.path.exists():  # someone has edited it
                os.replace(self.path, self.growing)
            there, size = _ids_and_size(self.growing)
            if self.growing.exists():
                os.truncate(self.growing, size)
        self.done = self.utt_ids & there

    def _begin_anew(self) -> None:
        """Note the source, and remove what was made from another one."""
        before, source = self._before or {}, self.source
        there = [path for path in (self.path, self.growing) if path.exists()]
        if there:
            changed = sorted(k for k in {*source, *before} if before.get(k) != source.get(k))
            logging.warning("%s: begun anew, for another %s.", self.path, ", ".join(changed))
        # In this order: killed between the two, the next start finds nothing of a wrong source.
        for path in there:
            path.unlink()
        with atomic_write(_beside(self.path, SOURCE)) as stream:
            json.dump(source, stream, indent=2, sort_keys=True)

    def __enter__(self) -> "GrowingHypotheses":
        if self._before != self.source:
            self._begin_anew()
            self._before = self.source
        self._stream = open(self.growing, "a", encoding="utf-8", newline="\n")
        return self

    def add(self, transcripts: Iterable[Transcript]) -> None:
        """Append transcripts of utterances that have none yet; no kill loses what was added."""
        for transcript in transcripts:
            if transcript.utt_id not in self.done:
                self._stream.write(to_json(transcript) + "\n")
                self.done.add(transcript.utt_id)
        self._stream.flush()

    def __exit__(self, kind: type | None, *_exception: object) -> None:
        """Move the file into place if every utterance is there."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if kind is None and self.done == self.utt_ids:
            os.replace(self.growing, self.path)
            sync_folder(self.path.parent)


class JoinedParts:
    """Whole parts as one collection: only the places of the transcripts are kept in memory.

    Args:
        paths: the parts' files.

    Raises:
        UserError: a part that is not there, has a line that is no transcript, or was made by
            another model or configuration, or of other data, than the first.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._places: dict[str, tuple[int, int]] = {}  # id -> number of the file, byte
        for number, path in enumerate(self.paths):
            if not path.exists():
                raise UserError(f"{path} does not exist. Run stage 12 again.")
            size = 0
            for transcript, begin, end in _whole_lines(path):
                self._places[transcript.utt_id] = (number, begin)
                size = end
            if size != path.stat().st_size:
                raise UserError(f"{path} is damaged after byte {size}. Run stage 12 again.")
        for path in self.paths[1:]:
            if source_at(path) != source_at(self.paths[0]):
                raise UserError(
                    f"{path} was made by another model or configuration, or of other data, than "
                    f"{self.paths[0]}. Run stage 12 again."
                )

    def __contains__(self, utt_id: str) -> bool:
        return utt_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def read(self, utt_ids: Iterable[str]) -> Iterator[Transcript]:
        """The transcripts of these utterances, in this order, one at a time."""
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(open(path, "rb")) for path in self.paths]
            for utt_id in utt_ids:
                number, begin = self._places[utt_id]
                streams[number].seek(begin)
                yield from_json(streams[number].readline().decode("utf-8"))


def read_so_far(folder: str | os.PathLike) -> dict[str, str]:
    """Texts of all parts below ``folder``, whole or growing, while they are being written.

    Where parts of several sources lie there, those of the source that was written to last count.
    """
    by_source: dict[str, list[Path]] = {}
    for note in Path(folder).glob(f"*{SOURCE}"):
        path = note.with_name(note.name.removesuffix(SOURCE))
        # The growing one first, for it may become the whole one in between.
        files = by_source.setdefault(json.dumps(_read_source(note)), [])
        files += [note, _beside(path, PARTIAL), path]
    texts: dict[str, str] = {}
    for file in max(by_source.values(), key=_last_written, default=[]):
        if file.suffix != SOURCE:
            texts.update((each.utt_id, each.text) for each, _, _ in _whole_lines(file))
    return texts


def source_at(path: Path) -> Source:
    """What a part was made from; empty where nothing says it."""
    return _read_source(_beside(path, SOURCE)) or {}


def remove_parts(folder: str | os.PathLike) -> None:
    """Remove all parts, once they are joined."""
    for path in Path(folder).glob("hyp.*"):
        path.unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _last_written(paths: Iterable[Path]) -> int:
    times = [0]
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns)
    return max(times)


def _read_source(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _ids_and_size(path: Path) -> tuple[set[str], int]:
    """Utterances up to the first line that is not whole, and the bytes until there."""
    utt_ids, size = set(), 0
    for transcript, _, end in _whole_lines(path):
        utt_ids.add(transcript.utt_id)
        size = end
    return utt_ids, size


def _whole_lines(path: Path) -> Iterator[tuple[Transcript, int, int]]:
    """Each transcript with its first byte and the one after it, up to a line that is not whole.

    A kill cuts a file off; a power cut may also leave zeros.  An absent file is an empty one.
    """
    if not path.exists():
        return
    with open(path, "rb") as stream:
        begin = 0
        for line in stream:
            transcript = _transcript_of(line)
            if transcript is None:
                return
            yield transcript, begin, begin + len(line)
            begin += len(line)


def _transcript_of(line: bytes) -> Transcript | None:
    """What a line says; None if it is not whole."""
    try:
        return from_json(line.decode("utf-8")) if line.endswith(b"\n") else None
    except ValueError:
        return None
