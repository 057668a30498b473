"""A Kaldi data directory of pieces of recordings: ``segments``, and no audio copied."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asr_dro_plugin.base.files import write_json
from asr_dro_plugin.base.kaldi_io import spk2utt, write_table
from asr_dro_plugin.data.kaldi_names import as_id
from asr_dro_plugin.errors import UserError

NO_LANGUAGE = "und"  # ISO 639-3: undetermined


@dataclass(frozen=True)
class Segment:
    """Seconds ``start`` to ``end`` of a recording, its text (None: unknown), and its faults.

    ``score`` says how well the text fits (0: certainly), None where there is no text.
    """

    start: float
    end: float
    text: str | None = None
    faults: tuple[str, ...] = ()
    score: float | None = None


@dataclass(frozen=True)
class Recording:
    """A recording's file and its pieces, or the fault for which there are none."""

    path: str
    duration: float | None
    segments: tuple[Segment, ...] = ()
    fault: str = ""


def recording_ids(paths: Sequence[str | os.PathLike]) -> dict[str, str]:
    """id -> path: the file's name without its ending, what Kaldi does not allow made ``_``.

    Raises:
        UserError: two files whose ids would be the same.
    """
    found: dict[str, str] = {}
    for path in map(str, paths):
        name = as_id(Path(path).stem, "_") or "_"
        if name in found:
            raise UserError(
                f"{found[name]} and {path} would both be the recording '{name}'. Rename one."
            )
        found[name] = path
    return found


def write_segments_dir(
    out_dir: str | os.PathLike,
    recordings: Mapping[str, Recording],
    lang: str = NO_LANGUAGE,
    keep: bool = True,
) -> None:
    """Write ``wav.scp segments text utt2spk spk2utt utt2lang utt2category`` and ``summary.json``.

    An utterance's id is ``<recording>-<start>-<end>`` in thousandths of a second; its speaker is
    the recording.  A text that is not known is empty (validate with --allow_empty_text true).

    Args:
        out_dir: the directory.
        recordings: by id.
        lang: ISO 639-3 code.
        keep: whether pieces with faults are utterances too; ``summary.json`` lists them anyway.
    """
    out = Path(out_dir)
    utts = {
        _utt_id(name, segment): (name, segment)
        for name, recording in recordings.items()
        for segment in recording.segments
        if keep or not segment.faults
    }
    names = {name for name, _ in utts.values()}
    utt2spk = {utt_id: name for utt_id, (name, _) in utts.items()}
    tables = {
        "wav.scp": {name: os.path.abspath(recordings[name].path) for name in names},
        "segments": {u: f"{n} {s.start:.3f} {s.end:.3f}" for u, (n, s) in utts.items()},
        "text": {utt_id: segment.text or "" for utt_id, (_, segment) in utts.items()},
        "utt2spk": utt2spk,
        "spk2utt": spk2utt(utt2spk),
        "utt2lang": dict.fromkeys(utts, lang),
        "utt2category": dict.fromkeys(utts, lang),
    }
    for name, table in tables.items():
        write_table(out / name, table)
    write_json(out / "summary.json", summary(recordings))


def _utt_id(name: str, segment: Segment) -> str:
    return f"{name}-{round(1000 * segment.start):08d}-{round(1000 * segment.end):08d}"


def to_thousandths(start: float, end: float) -> tuple[float, float]:
    """Both rounded to what ``segments`` holds, into the piece, so that it ends in the recording."""
    return math.ceil(1000 * start - 1e-6) / 1000, math.floor(1000 * end + 1e-6) / 1000


def summary(recordings: Mapping[str, Recording]) -> dict:
    """What ``summary.json`` holds: totals, and every recording with its pieces."""
    segments = [segment for recording in recordings.values() for segment in recording.segments]
    return {
        "recordings": len(recordings),
        "without_pieces": sum(bool(recording.fault) for recording in recordings.values()),
        "seconds": round(sum(r.duration or 0 for r in recordings.values()), 3),
        "pieces": len(segments),
        "seconds_in_pieces": round(sum(s.end - s.start for s in segments), 3),
        "with_faults": sum(bool(segment.faults) for segment in segments),
        "by_recording": {name: asdict(recording) for name, recording in recordings.items()},
    }
