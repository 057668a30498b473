"""Kaldi data directories: what is wrong with one, each finding with file, line and remedy.

Required are ``wav.scp text utt2spk spk2utt utt2lang utt2category``; ``segments`` and every other
``utt2*`` file are checked where they are there.  Unlike the readers of ``base.kaldi_io``, which
stop at the first damage, everything is looked at, so that one run shows all there is to mend.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.base.foreign_files import convert_one_byte
from asr_dro_plugin.base.kaldi_io import spk2utt
from asr_dro_plugin.data.scan import Table, is_legal_id, scan

REQUIRED = ("wav.scp", "text", "utt2spk", "spk2utt", "utt2lang", "utt2category")
ONE_WORD = ("utt2spk", "utt2lang", "utt2category", "utt2corpus")
POSITIVE = ("utt2dur", "utt2num_samples", "utt2speed")
ARCHIVE_OFFSET = re.compile(rb":\d+$")
MAX_PRINTED = 20
FIX = "Run utils/fix_data_dir.sh {directory}."


@dataclass(frozen=True)
class Checks:
    """What a validation tolerates or does beyond the rule."""

    allow_empty_text: bool = False
    allow_pipes: bool = False
    check_audio: bool = True


RULE = Checks()


@dataclass
class Report:
    """What was found: problems make the directory invalid, warnings do not."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def lines(self, limit: int = MAX_PRINTED) -> list[str]:
        """The problems as they are printed, at most ``limit`` and a count of the rest."""
        more = len(self.problems) - limit
        rest = [f"... and {more} more problems."] if more > 0 else []
        return self.problems[:limit] + rest


REMEDIES = {
    "utf8": "{convert}",
    "foreign": "Then check again.",
    "id": "Rename it where the directory is made.",
    "duplicate": "Keep one line for each id; " + FIX,
}


def validate(directory: str | os.PathLike, checks: Checks = RULE) -> Report:
    """Check a data directory.

    Returns:
        One problem a line, ``file:line fact (and N more). remedy``; none when it is valid.
    """
    return _Validation(Path(directory), checks).run()


class _Validation:
    """The tables of one directory, and what is found in them."""

    def __init__(self, directory: Path, checks: Checks) -> None:
        self.directory, self.checks, self.report = directory, checks, Report()
        self.tables: dict[str, Table] = {}

    def run(self) -> Report:
        if not self.directory.is_dir():
            return Report([f"{self.directory} is not a directory. Run the stage that makes it."])
        self.read()
        self.check_values()
        self.check_ids()
        self.check_speakers()
        self.check_segments()
        if self.checks.check_audio:
            remedy = "Mend the path, or leave the utterance out."
            self.check_each("wav.scp", missing_audio_fault, remedy)
        return self.report

    def add(self, path: Path, cases: list[tuple[int, str]], remedy: str = FIX) -> None:
        """One problem for all damaged lines of a kind: the first of them and how many follow."""
        if cases:
            line, words = cases[0]
            more = f" (and {len(cases) - 1} more)" if len(cases) > 1 else ""
            remedy = remedy.format(directory=self.directory, convert=convert_one_byte(path))
            self.report.problems.append(f"{path}:{line} {words}{more}. {remedy}")

    def read(self) -> None:
        for name in table_names(self.directory):
            path = self.directory / name
            if not path.is_file():
                remedy = FIX if name == "spk2utt" else "Make it where the directory is made."
                self.report.problems.append(
                    f"{path} is missing. {remedy.format(directory=self.directory)}"
                )
                continue
            table = self.tables[name] = scan(path)
            if not table.rows and "foreign" not in table.damage:
                self.report.problems.append(f"{path} holds no entry. Run the stage that makes it.")
            for kind, cases in table.damage.items():
                self.add(path, cases, REMEDIES.get(kind, FIX))

    def check_each(self, name: str, fault: Callable[[str], str], remedy: str = FIX) -> None:
        """Note every line of a table whose value ``fault`` finds words for."""
        if name in self.tables:
            table = self.tables[name]
            words = ((key, fault(value)) for key, value in table.rows.items())
            cases = [(table.lines[key], f"'{key}' {word}") for key, word in words if word]
            self.add(table.path, cases, remedy)

    def check_values(self) -> None:
        for name in ONE_WORD:
            self.check_each(name, one_word_fault, "Give one word.")
        for name in POSITIVE:
            self.check_each(name, positive_fault, "Measure it again.")
        if not self.checks.allow_empty_text:
            remedy = "Give the text, leave the utterance out, or pass --allow_empty_text true."
            self.check_each("text", lambda value: "" if value else "has no text", remedy)
        self.check_each("wav.scp", lambda value: "" if value else "has no audio file")
        if not self.checks.allow_pipes:
            allow = "pass --allow_pipes true if you trust the command."
            self.check_each("wav.scp", pipe_fault, f"Write the audio to a file, or {allow}")

    def check_ids(self) -> None:
        """Every utterance-level table holds the ids of utt2spk, both ways."""
        reference = self.tables.get("utt2spk")
        for name, table in self.tables.items():
            level = utterance_level(name, "segments" in self.tables)
            pairs = ((table, reference), (reference, table)) if level and reference else ()
            for one, other in pairs:
                words = f"is not in {other.path.name}"
                extra = [(one.lines[k], f"'{k}' {words}") for k in one.rows if k not in other.rows]
                self.add(one.path, extra, f"Complete that file, or drop the rest: {FIX}")

    def check_speakers(self) -> None:
        given, utt2spk = self.tables.get("spk2utt"), self.tables.get("utt2spk")
        if not given or not utt2spk:
            return
        right = spk2utt(utt2spk.rows)
        cases = [
            (given.lines.get(speaker, 1), f"disagrees with utt2spk on speaker '{speaker}'")
            for speaker in sorted({*right, *given.rows})
            if right.get(speaker, "").split() != given.rows.get(speaker, "").split()
        ]
        self.add(given.path, cases)
        bare = [key for key, speaker in utt2spk.rows.items() if not key.startswith(speaker)]
        if bare:
            self.report.warnings.append(
                f"{utt2spk.path}:{utt2spk.lines[bare[0]]} utterance '{bare[0]}' does not begin "
                f"with its speaker '{utt2spk.rows[bare[0]]}' ({len(bare)} such): sorting by "
                "speaker and by utterance will differ."
            )

    def check_segments(self) -> None:
        if "segments" not in self.tables:
            return
        remedy = "Give: utterance recording start end, in seconds."
        self.check_each("segments", segment_fault, remedy)

        def absent(value: str) -> str:
            name = value.split(" ")[0]
            is_there = name in self.tables["wav.scp"].rows
            return "" if is_there else f"is of recording '{name}', not in wav.scp"

        if "wav.scp" in self.tables:
            self.check_each("segments", absent)


def table_names(directory: Path) -> list[str]:
    """The tables to look at: the required ones, ``segments``, and every further ``utt2*``."""
    names = list(REQUIRED)
    if (directory / "segments").exists():
        names.insert(1, "segments")
    names += sorted(path.name for path in directory.glob("utt2*") if path.name not in names)
    return names


def utterance_level(name: str, segmented: bool) -> bool:
    """Whether a table's ids are utterances: wav.scp's are recordings where there are segments."""
    return name in ("text", "segments") or name.startswith("utt2") or (
        name == "wav.scp" and not segmented
    )  # fmt: skip


def one_word_fault(value: str) -> str:
    """What is wrong with a value that must be one word."""
    return "" if is_legal_id(value) else f"has the value {value!a}, not one word"


def positive_fault(value: str) -> str:
    """What is wrong with a value that must be a positive number."""
    try:
        number = float(value) if value.isascii() and "_" not in value else math.nan
    except ValueError:
        number = math.nan
    return "" if 0 < number < math.inf else f"has the value {value!a}, not a positive number"


def pipe_fault(value: str) -> str:
    """Words for a wav.scp value that is a command."""
    return "is a command (a pipe)" if value.endswith("|") or value.startswith("|") else ""


def missing_audio_fault(value: str) -> str:
    """Words for a plain path, or an archive's, that is no file or empty."""
    if not value or pipe_fault(value) or value == "-":
        return ""
    path = os.fsencode(value)
    if not os.path.exists(path):
        path = ARCHIVE_OFFSET.sub(b"", path)
    if not os.path.isfile(path):
        return f"names {value}, which is no file"
    return "" if os.path.getsize(path) else f"names {value}, which is empty"


def segment_fault(value: str) -> str:
    """What is wrong with ``recording start end``, in seconds."""
    fields = value.split(" ")
    try:
        start, end = (float(word) for word in fields[1:])
    except ValueError:
        return f"has {value!a}"
    if len(fields) != 3 or not fields[0] or not 0 <= start < end < math.inf:
        return f"has {value!a}: the end must lie after the start, and neither before 0"
    return ""
