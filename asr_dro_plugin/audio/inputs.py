"""What a user names as audio: files, folders, a Kaldi ``wav.scp``, a JSONL manifest."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.audio.read_ahead import Location
from asr_dro_plugin.audio.sources import ARK_POINTER, is_pipe
from asr_dro_plugin.base.kaldi_io import read_lines, read_table
from asr_dro_plugin.errors import UserError

# What is taken for audio in a folder; a file that is named itself may be called anything.
AUDIO_NAME = re.compile(
    r".+\.(wav|flac|og[ga]|opus|mp[34]|m4[ab]|aac|wma|webm|mkv|mov|avi|3gp|amr|aif[fc]?|au|snd|caf"
    r"|sph|nist|w64|rf64|g722)",
    re.IGNORECASE | re.DOTALL,
)
MANIFESTS = frozenset({".jsonl", ".json"})
PATH_KEYS = ("audio_filepath", "audio", "path", "wav")  # NeMo's word first
ID_KEYS = ("utt_id", "id", "key")
LANG_KEYS = ("lang", "language")


def find_audio(names: Sequence[str]) -> list[Location]:
    """Every recording that the names stand for, in their order, each once.

    A folder is searched with all below it; ``wav.scp`` (``*.scp``) brings ids; a manifest
    (``*.jsonl``) has a line of JSON for each recording, with its path (relative to the manifest)
    as ``audio_filepath``, and perhaps ``utt_id``, ``lang``, ``offset`` and ``duration`` in seconds;
    a duration alone is the file's beginning, as NeMo reads it.

    Raises:
        UserError: nothing found, a damaged table, an id twice; a file that is not there is none.
    """
    found: dict[str, Location] = {}
    for name in names:
        for location in _locations(name):
            if found.setdefault(location.utt_id, location) != location:
                raise UserError(f"'{location.utt_id}' is named a second time, in {name}.")
    if not any(_may_be_there(each.path) for each in found.values()):
        first = next(iter(found.values())).path
        raise UserError(f"{first} does not exist. Give the path of an audio file.")
    return list(found.values())


def _may_be_there(place: str) -> bool:
    return is_pipe(place) or bool(ARK_POINTER.match(place)) or Path(place).exists()


def _locations(name: str) -> Iterator[Location]:
    path = Path(name)
    if path.is_dir():
        yield from _in_folder(path)
    elif path.suffix == ".scp":
        for utt_id, place in read_table(path, allow_empty_value=False).items():
            yield Location(utt_id, place)
    elif path.suffix in MANIFESTS:
        yield from _in_manifest(path)
    else:
        yield Location(name, name)


def _in_folder(folder: Path) -> Iterator[Location]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if AUDIO_NAME.fullmatch(path.name) and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise UserError(f"{folder} holds no audio that is known by its ending. Name the files.")
    for path in files:
        yield Location(str(path), str(path))


def _in_manifest(path: Path) -> Iterator[Location]:
    seen = set()
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            location = _entry(line, path, f"{path}:{number}")
            if location.utt_id in seen:
                raise UserError(f"{path}:{number} gives '{location.utt_id}' a second time.")
            seen.add(location.utt_id)
            yield location


def _entry(line: str, path: Path, where: str) -> Location:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where} is not JSON ({error}). Correct it.") from None
    audio = _first(entry, PATH_KEYS) if isinstance(entry, Mapping) else None
    if not isinstance(audio, str):
        raise UserError(f"{where} has no path of audio. Give one as '{PATH_KEYS[0]}'.")
    start, duration = (_seconds(entry.get(key), where) for key in ("offset", "duration"))
    end = (start or 0.0) + duration if duration else None  # 0 is written for an unknown one
    place = str(path.parent / audio)
    utt_id, lang = _first(entry, ID_KEYS), _first(entry, LANG_KEYS)
    for value, kinds, name in ((utt_id, (str, int), ID_KEYS[0]), (lang, (str,), LANG_KEYS[0])):
        if isinstance(value, bool) or not isinstance(value, (*kinds, type(None))):
            raise UserError(f"{where} has {value!r} as {name}. Write a text in quotes.")
    return Location(place if utt_id in (None, "") else str(utt_id), place, start, end, lang)


def _first(entry: Mapping, keys: Sequence[str]) -> object:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def _seconds(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise UserError(f"{where} has {value!r} where seconds are meant. Correct it.")
    return float(value)


def short_ids(locations: Sequence[Location]) -> dict[str, str]:
    """Id of each location -> the shortest that tells all apart, for the names of files.

    An id that is a path becomes its file's stem, or where others share it, as much of the path as
    tells it from them: ``same.wav`` in two folders gives ``a/same`` and ``b/same``, and no other
    recording a longer name.  Ids that were given stay.
    """
    choices = {each.utt_id: _from_short_to_long(each) for each in locations}
    names = {utt_id: choice.pop(0) for utt_id, choice in choices.items()}
    while True:
        counts = Counter(name.casefold() for name in names.values())
        alike = [key for key, name in names.items() if counts[name.casefold()] > 1 and choices[key]]
        if not alike:
            return names
        for utt_id in alike:
            names[utt_id] = choices[utt_id].pop(0)


def _from_short_to_long(location: Location) -> list[str]:
    """The stem, longer and longer ends of the path without its ending, the whole path."""
    if location.utt_id != location.path:
        return [location.utt_id]
    path = Path(location.path)
    parts = path.with_suffix("").parts
    ends = [str(Path(*parts[-length:])) for length in range(1, len(parts) + 1)]
    return [*ends, location.path]
