"""Transcripts in the forms that recognisers write, each as utterance id -> text.

kaldi   ``id words`` a line
folder  one ``{id}.txt`` an utterance (ids as ``transcripts.file_names`` escapes them)
jsonl   one JSON object a line: ours (``utt_id``, see ``transcripts.partial``), or with ``utt_id``,
        ``id`` or ``audio_filepath`` (its name without ending), and ``text`` (hypotheses:
        ``pred_text`` first)
trn     ``words (id)`` a line, sclite's; lines that begin with ``;;`` are comments

Texts of tokens are joined to words (``scoring.notations``), whatever the form; references may have
alternatives (``scoring.alternatives``).
A hypothesis file may be damaged: an id given again, a file that ends within a line, a line that is
none.  That is noted and the rest is read.  A reference must be whole.
"""

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from asr_dro_plugin.base.foreign_files import HEAD, refuse_foreign
from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.alternatives import with_optional
from asr_dro_plugin.scoring.notations import COMMENT, refuse_optional, words_of
from asr_dro_plugin.transcripts.file_names import unescape_id

TRN = re.compile(r"(?:(.*)\s)?\((\S+)\)\s*")
ID_KEYS = ("utt_id", "id", "audio_filepath")
Line = tuple[str, str]  # id and text


class NotThere(UserError):
    """A file or folder to score does not exist: wrong usage."""

    exit_code = 2


@dataclass
class Texts:
    """Transcripts of one side.

    Args:
        texts: utterance id -> text, in file order.
        duplicates: ids given more than once, of which the first text counts.
        cut: places (``path:line``) of what could not be read, a line that the file's end cut.
    """

    texts: dict[str, str] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def add(self, utt_id: str, text: str) -> None:
        """Take one text, or note that its id was there before."""
        if utt_id not in self.texts:
            self.texts[utt_id] = text
        elif utt_id not in self.duplicates:
            self.duplicates.append(utt_id)


def read_reference(path: str | Path, form: str | None = None) -> dict[str, str]:
    """References: any damage is an error that names the line."""
    found = _read(Path(path), form, is_reference=True)
    if found.cut:
        raise UserError(f"{found.cut[0]} is no line of a transcript. Mend the reference.")
    if found.duplicates:
        raise UserError(
            f"{path} gives '{found.duplicates[0]}' a second time. Keep one line for each id."
        )
    return found.texts


def read_hypotheses(path: str | Path, form: str | None = None) -> Texts:
    """Hypotheses: what is damaged is noted, the rest is read."""
    return _read(Path(path), form, is_reference=False)


def form_of(path: Path) -> str:
    """The form of a file or folder, by its ending or, where that says nothing, its lines.

    A text of Kaldi's may end in a bracket (``u1 yes (laughs)``): of trn most lines end so.
    """
    if path.is_dir():
        return "folder"
    if path.suffix in (".jsonl", ".trn"):
        return path.suffix[1:]
    lines = [line.strip() for line in _lines(path)[0] if not _is_none(line)]
    if lines and lines[0].startswith("{"):
        return "jsonl"
    if not lines or not TRN.fullmatch(lines[0]):
        return "kaldi"
    num_trn = sum(TRN.fullmatch(line) is not None for line in lines)
    return "trn" if 2 * num_trn >= len(lines) else "kaldi"


def _read(path: Path, form: str | None, is_reference: bool) -> Texts:
    if not path.exists():
        raise NotThere(f"{path} does not exist. Give two files or folders of transcripts.")
    form = form or form_of(path)
    if (form == "folder") != path.is_dir():
        there = "a folder" if path.is_dir() else "a file"
        raise UserError(f"{path} is {there}, which --format {form} does not read.")
    found = _read_folder(path) if form == "folder" else _read_file(path, form, is_reference)
    found.texts = words_of(found.texts, str(path), may_choose=is_reference)
    return found


def _read_file(path: Path, form: str, is_reference: bool) -> Texts:
    found = Texts()
    lines, ends_within_line = (read_lines(path), False) if is_reference else _lines(path)
    parse = PARSERS[form]
    for number, line in enumerate(lines, 1):
        if _is_none(line):
            continue
        is_last = number == len(lines)
        # Of Kaldi's form nobody can tell whether a last line without its newline is whole.
        if is_last and ends_within_line and form == "kaldi":
            parsed = None
        else:
            parsed = parse(line, is_reference)
        if parsed is None:
            found.cut.append(f"{path}:{number}")
        else:
            utt_id, text = parsed
            if form == "trn" and is_reference:
                text = with_optional(text)
            elif form == "trn":
                refuse_optional(text, f"{path}:{number}")
            found.add(utt_id, text)
    return found


def _is_none(line: str) -> bool:
    """Whether a line is empty, or a comment of sclite's."""
    return not line.strip() or line.startswith(COMMENT)


def _lines(path: Path) -> tuple[list[str], bool]:
    """Lines, and whether the last one lacks its newline; half a character there is left out."""
    raw = path.read_bytes()
    refuse_foreign(path, raw[:HEAD])
    begin = raw.rfind(b"\n") + 1
    if begin == len(raw):
        return read_lines(path), False
    try:
        raw[begin:].decode("utf-8")
    except UnicodeDecodeError:
        with contextlib.suppress(UnicodeDecodeError):  # there is more wrong: read_lines says it
            cut = raw[begin:].decode("utf-8", "ignore")
            return [*raw[:begin].decode("utf-8-sig").split("\n")[:-1], cut or "?"], True
    return read_lines(path), True


def _read_folder(path: Path) -> Texts:
    found = Texts()
    for file in sorted(path.rglob("*.txt")):
        name = file.relative_to(path).as_posix().removesuffix(".txt")
        found.add(unescape_id(name), " ".join(" ".join(read_lines(file)).split()))
    if not found.texts:
        raise UserError(f"{path} holds no .txt file. Give a folder of one {{id}}.txt an utterance.")
    return found


def _kaldi(line: str, is_reference: bool) -> Line | None:
    utt_id, *text = line.strip(" \t").split(None, 1)
    return utt_id, text[0] if text else ""


def _trn(line: str, is_reference: bool) -> Line | None:
    match = TRN.fullmatch(line.strip())
    return (match[2], match[1] or "") if match else None


def _json(line: str, is_reference: bool) -> Line | None:
    try:
        data = json.loads(line)
        key = next(key for key in ID_KEYS if key in data)
        utt_id = PurePath(data[key]).stem if key == "audio_filepath" else str(data[key])
        text = _json_text(data, is_reference)
    except (ValueError, TypeError, KeyError, IndexError, StopIteration):
        return None
    return (utt_id, text) if isinstance(text, str) else None


def _json_text(data: dict, is_reference: bool) -> str:
    if "hypotheses" in data:
        return data["hypotheses"][0]["text"]
    if not is_reference and "pred_text" in data:
        return data["pred_text"]
    return data["text"]


PARSERS: dict[str, Callable[[str, bool], Line | None]] = {
    "kaldi": _kaldi,
    "jsonl": _json,
    "trn": _trn,
}
FORMS = ("folder", *PARSERS)
