"""Tables of utterances as people have them: TSV, CSV and JSON lines, with their own column names.

Every row becomes a dictionary under our names (``utt_id lang split path duration speaker
transcript offset corpus``), whatever the header calls them.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError, suggestion

# Our name first; a header word is compared in lower case, with - and space as _.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "utt_id": ("utt_id", "utt", "id", "utterance_id", "uttid", "segment_id"),
    "lang": ("lang", "language", "locale", "lang_id", "iso"),
    "split": ("split", "set", "subset", "partition"),
    "path": ("path", "audio_filepath", "audio", "audio_path", "wav", "file", "file_name"),
    "duration": ("duration", "dur", "seconds", "length"),
    "speaker": ("speaker", "speaker_id", "spk", "spk_id", "client_id"),
    "transcript": ("transcript", "text", "sentence", "transcription"),
    "offset": ("offset", "start", "start_time"),
    "corpus": ("corpus", "corpus_name", "dataset"),
}
REQUIRED = ("path", "transcript")
JSON_LINES = (".json", ".jsonl", ".ndjson")


def parse_columns(option: str) -> dict[str, str]:
    """``"utt_id=id lang=language"`` -> ``{"utt_id": "id", "lang": "language"}``."""
    columns = {}
    for word in option.split():
        ours, equals, theirs = word.partition("=")
        if not equals or not theirs:
            raise UserError(f"--columns '{word}' is not OUR_NAME=HEADER, as in lang=language.")
        if ours not in SYNONYMS:
            raise UserError(
                f"--columns: '{ours}' is not one of ours.{suggestion(ours, SYNONYMS)} "
                f"Ours: {' '.join(SYNONYMS)}."
            )
        columns[ours] = theirs
    return columns


def read_rows(path: str | Path, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a table.  Rows keep unmapped columns under their own header.

    The kind follows from the name's ending: .json, .jsonl and .ndjson are JSON lines, .csv has
    commas or semicolons, everything else tabs.  Blank lines and a byte order mark are passed over.

    Raises:
        UserError: not UTF-8, a malformed row, a required column that is not there; names
            file and line.
    """
    path = Path(path)
    lines = read_lines(path)
    if path.suffix.lower() in JSON_LINES:
        rows = _json_rows(path, lines)
    else:
        rows = _delimited_rows(path, lines)
    names: dict[str, str] = {}
    keys: frozenset[str] = frozenset()
    for number, row in rows:
        if row.keys() != keys:  # JSON lines may differ in their keys
            keys = frozenset(row)
            names = map_header(list(row), columns, f"{path}:{number}")
        yield number, {names.get(key, key): value for key, value in row.items()}


def map_header(header: list[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Header word -> our name, by ``columns`` first and then by the usual synonyms."""
    names = {}
    for ours, theirs in columns.items():
        if theirs not in header:
            raise UserError(
                f"{where} has no column '{theirs}' (--columns {ours}={theirs})."
                f"{suggestion(theirs, header)} Columns: {' '.join(header)}."
            )
        names[theirs] = ours
    plain = {word.strip().lower().replace("-", "_").replace(" ", "_"): word for word in header}
    for ours, words in SYNONYMS.items():
        found = [plain[word] for word in words if word in plain and plain[word] not in names]
        if ours not in columns and found:
            names[found[0]] = ours
    for ours in REQUIRED:
        if ours not in names.values():
            raise UserError(
                f"{where} has no column for {ours} (known names: {' '.join(SYNONYMS[ours])}). "
                f'Columns: {" ".join(header)}. Name it: --columns "{ours}=HEADER".'
            )
    return names


def _json_rows(path: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}:{number} is not JSON ({error}). Mend the line.") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number} is not a JSON object. Mend the line.")
        yield number, {key: "" if value is None else str(value) for key, value in row.items()}


def _delimited_rows(path: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows below a header.  Tabs are plain (no quoting); commas and semicolons may be quoted."""
    first = next((line for line in lines if line.strip()), "")
    if path.suffix.lower() == ".csv":
        delimiter = ";" if first.count(";") > first.count(",") else ","
        reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True)
    else:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    header: list[str] = []
    number = 0
    try:
        for fields in reader:
            number, before = reader.line_num, number
            if not any(field.strip() for field in fields):
                continue
            if not header:
                header = [field.strip() for field in fields]
                _refuse_double_columns(header, f"{path}:{number}")
            elif len(fields) != len(header):
                raise UserError(
                    f"{path}:{before + 1} has {len(fields)} fields, the header has {len(header)}. "
                    "Mend the line."
                )
            else:
                yield number, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num} cannot be read ({error}). Mend it.") from None
    if not header:
        raise UserError(f"{path} is empty. Its first line must name the columns.")


def _refuse_double_columns(header: list[str], where: str) -> None:
    for name in header:
        if header.count(name) > 1:
            raise UserError(f"{where} names column '{name}' twice. Rename one.")
