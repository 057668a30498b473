"""Where each utterance's sound is: ``wav.scp``, ``segments`` and ``utt2speed`` together."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio.sources import is_pipe
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.utt_tables import check_same_ids
from asr_dro_plugin.errors import UserError


@dataclass(frozen=True)
class Item:
    """One utterance to dump: where its sound is, and how it is to be changed."""

    utt_id: str
    path: str
    start: float | None = None
    end: float | None = None
    speed: float = 1.0
    declared: float | None = None  # seconds, of utt2dur, at its speed


def read_items(
    data_dir: str | os.PathLike, allow_pipes: bool, need_text: bool = True
) -> list[Item]:
    """All utterances of a data directory in the order in which they are best decoded.

    Args:
        data_dir: the directory.
        allow_pipes: whether ``wav.scp`` may hold commands.
        need_text: whether they must be those of ``text``.

    Raises:
        UserError: a damaged table, a segment without recording, a pipe that is not allowed,
            other ids than ``text`` has.
    """
    data_dir = Path(data_dir)
    recordings = read_table(data_dir / "wav.scp", allow_empty_value=False)
    for number, (key, path) in enumerate(recordings.items(), 1):
        if is_pipe(path) and not allow_pipes:
            raise UserError(
                f"{data_dir}/wav.scp:{number} runs a command for '{key}' ({path}). "
                "Name files instead, or allow it with --allow_pipes true."
            )
    speeds = _read_speeds(data_dir / "utt2speed")
    declared = _read_durations(data_dir / "utt2dur")
    if (data_dir / "segments").is_file():
        source, items = "segments", list(_read_segments(data_dir / "segments", recordings, speeds))
        items.sort(key=lambda item: (item.path, item.start, item.utt_id))
    else:
        source = "wav.scp"
        items = [
            Item(utt, path, speed=speeds.get(utt, 1.0), declared=declared.get(utt))
            for utt, path in recordings.items()
        ]
        items.sort(key=lambda item: item.utt_id.encode())
    if need_text:
        sounds = {item.utt_id: item.path for item in items}
        check_same_ids(data_dir, source, sounds, read_table(data_dir / "text"))
    return items


def _read_speeds(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    speeds = {}
    for utt_id, word in read_table(path, allow_empty_value=False).items():
        try:
            speeds[utt_id] = float(word)
        except ValueError:
            speeds[utt_id] = 0.0
        if not 0.1 <= speeds[utt_id] <= 10:
            raise UserError(f"{path} gives '{utt_id}' the speed '{word}'. Use 0.1 to 10.")
    return speeds


def _read_durations(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    found = {}
    for number, (utt_id, word) in enumerate(read_table(path).items(), 1):
        try:
            found[utt_id] = float(word)
        except ValueError:
            raise UserError(
                f"{path}:{number} gives '{utt_id}' the duration '{word}', no number of seconds. "
                f"Correct it, or remove {path}."
            ) from None
    return found


def _read_segments(path: Path, recordings: dict, speeds: dict) -> Iterator[Item]:
    for number, (utt_id, value) in enumerate(read_table(path).items(), 1):
        fields = value.split()
        try:
            recording, start, end = fields[0], float(fields[1]), float(fields[2])
        except (IndexError, ValueError):
            raise UserError(
                f"{path}:{number} is not 'utterance recording start end' in seconds. Correct it."
            ) from None
        if recording not in recordings:
            raise UserError(
                f"{path}:{number} names recording '{recording}', which wav.scp beside it lacks."
            )
        if end != -1 and end <= start or start < 0 or not np.isfinite([start, end]).all():
            raise UserError(f"{path}:{number} runs from {start:g} s to {end:g} s. Correct it.")
        speed = speeds.get(utt_id, 1.0)
        yield Item(utt_id, recordings[recording], start, None if end == -1 else end, speed)
