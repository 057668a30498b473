"""Tables of utterances as people have them: TSV, CSV and JSON lines, with their own column names.

Every row becomes a dictionary under our names (``utt_id lang split path duration speaker
transcript offset corpus``), whatever the header calls them.
"""

import csv
import functools
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.base.foreign_files import new_name
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
# What a JSON value of ours may be besides text.  A number for a text has lost its zeros, or more.
_KINDS: dict[str, tuple[type | tuple, str]] = {
    **dict.fromkeys(("path", "transcript", "utt_id", "lang", "split"), ((), "text in quotes")),
    **dict.fromkeys(("speaker", "corpus"), (int, "text in quotes or a whole number")),
    **dict.fromkeys(("duration", "offset"), ((int, float), "a number of seconds")),
}


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
    is_json = path.suffix.lower() in JSON_LINES
    rows = (_json_rows if is_json else _delimited_rows)(path, lines)
    names: dict[str, str] = {}
    keys: frozenset[str] = frozenset()
    for number, row in rows:
        if row.keys() != keys:  # JSON lines may differ in their keys
            keys = frozenset(row)
            names = map_header(list(row), columns, f"{path}:{number}")
        where = f"{path}:{number}"
        yield number, dict(_column(names.get(k, k), k, v, where) for k, v in row.items())


def _column(ours: str, key: str, value: object, where: str) -> tuple[str, str]:
    """Our name, and the value as text; null is nothing, and so is NaN, as pandas writes it.

    Raises:
        UserError: a number for a text, a list or an object for anything of ours.
    """
    if isinstance(value, str):
        return ours, value
    if value is None or value != value:
        return ours, ""
    kind = _KINDS.get(ours, (object, ""))
    if isinstance(value, kind[0]) and not (isinstance(value, bool) and ours in _KINDS):
        return ours, str(value)
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    raise UserError(
        f"{where} has {shown} as '{key}', which must be {kind[1]}. Mend it, or name another "
        f'column: --columns "{ours}=HEADER".'
    )


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


def _json_rows(path: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line, object_pairs_hook=functools.partial(_object, where))
        except ValueError as error:
            if lines[0].lstrip()[:1] in ("[", "{") and _is_document(lines):
                raise UserError(f"{path} {_ONE_DOCUMENT}: {_to_lines(path)}") from None
            raise UserError(f"{where} is not JSON ({error}). Mend the line.") from None
        if isinstance(row, list) and len(lines) == 1 and all(isinstance(r, dict) for r in row):
            raise UserError(f"{path} {_ONE_DOCUMENT}: {_to_lines(path)}")
        if not isinstance(row, dict):
            raise UserError(f"{where} is not a JSON object. Mend the line.")
        yield number, row


def _object(where: str, pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"{where} gives '{twice}' twice. Keep one.")
    return row


_ONE_DOCUMENT = "is one JSON document, not one object a line. Convert it and give the new file"


def _is_document(lines: list[str]) -> bool:
    """Whether it is one list of objects over several lines."""
    try:
        whole = json.loads("\n".join(lines))
    except ValueError:
        return False
    return isinstance(whole, list) and all(isinstance(row, dict) for row in whole)


def _to_lines(path: Path) -> str:
    """The command that makes JSON lines of a list."""
    program = (
        "import json,sys; [print(json.dumps(row)) for row in json.load(open(sys.argv[1],'rb'))]"
    )
    names = [shlex.quote(str(name)) for name in (path, new_name(path))]
    return f'python3 -c "{program}" {names[0]} > {names[1]}'


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
                if twice := [name for name in header if header.count(name) > 1]:
                    raise UserError(f"{path}:{number} names column '{twice[0]}' twice. Rename one.")
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
