"""Hypotheses of a decoding that is under way, such that a kill at any moment loses none of them.

parts/text.1of2.partial   in the order of decoding; the last line may be cut off
parts/text.1of2           the same file once it is whole
parts/text.1of2.source    what they were made from (JSON); hypotheses of another source are
                          never added to them
"""

import contextlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.files import atomic_write, sync_folder

PARTIAL, SOURCE = ".partial", ".source"
Source = Mapping[str, str]  # for example model -> SHA-256 of its file


class GrowingHypotheses:
    """The hypotheses of one part: goes on where an earlier process was killed.

    Args:
        path: where they are once they are whole.
        source: what they are made from; whatever is there from another source is removed.
        utt_ids: utterances of the part.

    Attributes:
        done: utterances whose hypotheses are on the disk.
        is_whole: whether an earlier process has finished this part.
    """

    def __init__(self, path: str | os.PathLike, source: Source, utt_ids: Collection[str]) -> None:
        self.path, self.utt_ids = Path(path), set(utt_ids)
        self.growing = _beside(self.path, PARTIAL)
        self._use_source(source)
        self.is_whole = self.path.exists() and self.utt_ids <= set(_whole_lines(self.path)[0])
        if not self.is_whole and self.path.exists():  # someone has edited it
            os.replace(self.path, self.growing)
        texts, size = _whole_lines(self.path if self.is_whole else self.growing)
        self.done = self.utt_ids & set(texts)
        if not self.is_whole and self.growing.exists():
            os.truncate(self.growing, size)  # what a kill has left of a last line
        self._stream: IO[str] | None = None

    def _use_source(self, source: Source) -> None:
        """Note the source; where it is another one than before, remove what was made from that."""
        note = _beside(self.path, SOURCE)
        before = _read_source(note)
        if before == dict(source):
            return
        there = [path for path in (self.path, self.growing) if path.exists()]
        if there:
            changed = sorted(key for key in source if (before or {}).get(key) != source[key])
            logging.warning("%s: begun anew, for another %s.", self.path, ", ".join(changed))
        # In this order: killed between the two, the next start finds nothing of a wrong source.
        for path in there:
            path.unlink()
        with atomic_write(note) as stream:
            json.dump(dict(source), stream, indent=2, sort_keys=True)

    def __enter__(self) -> "GrowingHypotheses":
        self._stream = open(self.growing, "a", encoding="utf-8", newline="\n")
        return self

    def add(self, texts: Mapping[str, str]) -> None:
        """Append hypotheses of utterances that have none yet; no kill loses what was added."""
        for utt_id, text in texts.items():
            if utt_id not in self.done:
                self._stream.write(f"{utt_id} {text}".rstrip(" ") + "\n")
                self.done.add(utt_id)
        self._stream.flush()

    def __exit__(self, kind: type | None, *_exception: object) -> None:
        """Move the file into place if every utterance is there."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        if kind is None and self.done == self.utt_ids:
            os.replace(self.growing, self.path)
            sync_folder(self.path.parent)


def read_so_far(folder: str | os.PathLike) -> dict[str, str]:
    """Hypotheses of all parts below ``folder``, whole or growing, while they are being written.

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
            texts.update(_whole_lines(file)[0])
    return texts


def check_one_source(paths: Sequence[Path]) -> None:
    """Refuse parts of which some were made by another model or configuration, or of other data."""
    first = _read_source(_beside(paths[0], SOURCE))
    for path in paths[1:]:
        if _read_source(_beside(path, SOURCE)) != first:
            raise UserError(
                f"{path} was made by another model or configuration, or of other data, than "
                f"{paths[0]}. Run stage 12 again."
            )


def remove_parts(folder: str | os.PathLike) -> None:
    """Remove all parts, once they are joined."""
    for path in Path(folder).glob("text.*"):
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


def _whole_lines(path: Path) -> tuple[dict[str, str], int]:
    """The table up to its first line that is not whole, and the bytes until there.

    A kill cuts a file off; a power cut may also leave zeros.  An absent file is an empty one.
    """
    texts: dict[str, str] = {}
    size = 0
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return texts, size
    for line in lines:
        try:
            utt_id, _, text = line.decode("utf-8").partition(" ")
        except UnicodeDecodeError:
            break
        if not utt_id or b"\0" in line:
            break
        texts[utt_id] = text
        size += len(line) + 1
    return texts, size
