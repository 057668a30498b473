"""Stage 3: recordings to 16 kHz mono FLAC archives, in parts that run side by side.

A part writes its archive under a temporary name, moves it into place and last of all writes its
record, ``parts/part.<k>.json``.  ``merge`` makes the tables, and only when the record of every part
is there and speaks of the same input.  From a part's start to the merge ``wav.scp`` is absent.
"""

import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio import files as audio
from asr_dro_plugin.audio.silence import has_sound
from asr_dro_plugin.audio.sources import is_pipe
from asr_dro_plugin.base.files import atomic_write, write_text
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.data import claims
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.data.wav_scp import Item, read_items
from asr_dro_plugin.errors import UserError

FULL_SCALE = 32768
# More of an utterance beyond full scale, and some of it far beyond, is no voice recorded too loud,
# whose coded waveform overshoots, but a wrong scale.
MAX_CLIPPED = 0.1
MAX_FAR, FAR = 0.01, 2 * FULL_SCALE


@dataclass(frozen=True)
class DumpSettings:
    """What decides the content of a dump."""

    data_dir: str
    out_dir: str
    feats_type: str = "raw"
    fs: int = SAMPLE_RATE
    allow_pipes: bool = False
    num_parts: int = 1


def dump_part(settings: DumpSettings, part: int) -> None:
    """Dump part ``part`` of 1..num_parts; a second run does this part again and no other."""
    out = Path(settings.out_dir)
    record = _record_path(out, part)
    for stale in (out / "wav.scp", record):
        stale.unlink(missing_ok=True)
    items = _part_of(read_items(settings.data_dir, settings.allow_pipes), part, settings.num_parts)
    dump = _write_ark if settings.feats_type == "raw" else _check_copies
    done = dump(settings, part, items) | {"fingerprint": fingerprint(settings)}
    write_text(record, json.dumps(done, ensure_ascii=False))


def _part_of(items: list[Item], part: int, num_parts: int) -> list[Item]:
    """Neighbouring items, so that a recording is opened by as few parts as can be."""
    return items[(part - 1) * len(items) // num_parts : part * len(items) // num_parts]


def fingerprint(settings: DumpSettings) -> str:
    """Hash of the settings and of the tables that name the sound."""
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    for name in ("wav.scp", "segments", "utt2speed", "utt2dur", "text"):
        path = Path(settings.data_dir, name)
        digest.update(f"{name}\n".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _record_path(out: Path, part: int) -> Path:
    return out / "parts" / f"part.{part}.json"


def _ark_path(out: Path, part: int) -> Path:
    return out / "data" / f"wav_ark.{part}.ark"


def _write_ark(settings: DumpSettings, part: int, items: list[Item]) -> dict:
    """Decode, convert and append every item to the part's archive; returns the part's record."""
    import kaldiio

    ark = _ark_path(Path(settings.out_dir), part)
    for left_over in ark.parent.glob(f".{ark.name}.*.tmp"):  # of a run that was killed
        left_over.unlink()
    rows, drops = [], []
    with atomic_write(ark, "wb") as stream, _progress(settings, part, items) as bar:
        for item, result in _convert_all(items, settings):
            if isinstance(result, audio.AudioError):
                drops.append([item.utt_id, result.reason, str(result)])
            else:
                samples, num_clipped = result
                pointer = f"{ark}:{stream.tell() + len(item.utt_id.encode()) + 1}"
                kaldiio.save_ark(
                    stream, {item.utt_id: (settings.fs, samples)}, write_function="soundfile",
                    write_kwargs={"format": "FLAC", "subtype": "PCM_16"},
                )  # fmt: skip
                rows.append([item.utt_id, pointer, len(samples), num_clipped])
            bar.advance()
        size = stream.tell()
    return {"rows": rows, "drops": drops, "ark_size": size}


def _progress(settings: DumpSettings, part: int, items: list[Item]) -> Progress:
    of = f" {part}/{settings.num_parts}" if settings.num_parts > 1 else ""
    return Progress(len(items), f"dump {Path(settings.data_dir).name}{of}")


def _convert_all(items: list[Item], settings: DumpSettings) -> Iterator[tuple[Item, object]]:
    """Each item with its int16 samples and clipped count, or with what makes it unusable."""
    for path, group in itertools.groupby(items, key=lambda item: item.path):
        try:
            recording = audio.AudioFile(path, settings.allow_pipes)
        except audio.AudioError as error:
            yield from ((item, error) for item in group)
            continue
        with recording:
            for item in group:
                yield item, _converted(item, recording, settings.fs)


def _converted(item: Item, recording: audio.AudioFile, fs: int) -> object:
    """One stretch of a recording; damage elsewhere in it does no harm."""
    try:
        samples = recording.read(item.start, item.end)
        return to_pcm(item, samples, recording.sample_rate, fs)
    except audio.AudioError as error:
        return error


def to_pcm(item: Item, samples: np.ndarray, rate: int, fs: int) -> tuple[np.ndarray, int]:
    """(N,) float32 at ``rate`` to int16 at ``fs``, and how many samples had to be clipped.

    Raises:
        AudioError: no sample, no sound in them, a value that is not finite, a segment that runs
            past the recording, another duration than the one declared, or so much beyond full
            scale that the file's scale must be wrong.
    """
    if not len(samples):
        raise audio.AudioError(item.path, "zero-length audio")
    _check_length(item, len(samples) / rate, rate)
    if not np.isfinite(samples).all():
        raise audio.AudioError(item.path, "samples that are not numbers")
    if not has_sound(samples):
        raise audio.AudioError(item.path, "no sound")
    scaled = np.rint(audio.resample(samples, rate * item.speed, fs) * FULL_SCALE)
    if not len(scaled):
        raise audio.AudioError(item.path, "zero-length audio")
    num_clipped = int(((scaled > FULL_SCALE) | (scaled < -FULL_SCALE)).sum())
    num_far = int((abs(scaled) > FAR).sum())
    if num_clipped > MAX_CLIPPED * len(scaled) and num_far > MAX_FAR * len(scaled):
        raise audio.AudioError(item.path, "samples far beyond full scale")
    return scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16), num_clipped


def _check_length(item: Item, seconds: float, rate: int) -> None:
    """What was cut must be there whole, and a whole file as long as it was declared."""
    if item.end is not None and item.end - (item.start or 0) - seconds > claims.SEGMENT_SLACK:
        raise audio.AudioError(item.path, claims.BEYOND)
    if item.start is not None or item.declared is None:
        return
    if fault := claims.fault(item.declared, seconds / item.speed, rate * item.speed):
        raise audio.AudioError(f"{item.path}: {fault}", claims.NOT_AS_DECLARED)


def _check_copies(settings: DumpSettings, part: int, items: list[Item]) -> dict:
    """For raw_copy: every file must be what ESPnet's ``sound`` type reads as it stands."""
    rows, drops = [], []
    with _progress(settings, part, items) as bar:
        for item in items:
            try:
                rows.append([item.utt_id, item.path, _copy_length(item, settings), 0])
            except audio.AudioError as error:
                drops.append([item.utt_id, error.reason, str(error)])
            bar.advance()
    return {"rows": rows, "drops": drops, "ark_size": 0}


def _copy_length(item: Item, settings: DumpSettings) -> int:
    """Samples of a file that may stay in place; it is decoded once, so that damage shows here."""
    if needs := _what_needs_raw(item, settings.fs):
        raise UserError(
            f"{item.path} ({item.utt_id} of {settings.data_dir}) {needs}: --feats_type raw_copy "
            "cannot leave it in place. Use --feats_type raw."
        )
    samples, rate = audio.read(item.path)
    return len(to_pcm(item, samples, rate, settings.fs)[0])


def _what_needs_raw(item: Item, fs: int) -> str:
    """Why a file cannot stay as it is; empty where it can."""
    if item.start is not None:
        return "is cut by segments"
    if item.speed != 1.0:
        return f"has a speed factor of {item.speed:g}"
    if is_pipe(item.path) or (not os.path.exists(item.path) and ":" in item.path):
        return "is not a plain file"
    info = audio.probe(item.path)
    if info.sample_rate != fs:
        return f"has {info.sample_rate} Hz, not {fs}"
    if info.num_channels != 1:
        return f"has {info.num_channels} channels"
    if info.decoder != "libsndfile":
        return f"is decoded by {info.decoder}, which ESPnet does not use"
    return ""


def merge(settings: DumpSettings, max_drop: float) -> None:
    """Make the tables of the dump from its parts, last of all ``wav.scp``.

    Raises:
        UserError: a part is missing or of another input; a language lost more than ``max_drop``.
    """
    out, data = Path(settings.out_dir), UttTables.read(settings.data_dir)
    records = [_read_record(settings, part) for part in range(1, settings.num_parts + 1)]
    rows = {row[0]: row[1:] for record in records for row in record["rows"]}
    ledger = DropLedger()
    for utt_id, reason, detail in (drop for record in records for drop in record["drops"]):
        ledger.add(utt_id, data.lang(utt_id), reason, detail)
    _report_clipping(settings.out_dir, rows)
    ledger.conclude(data.totals(), out / "dropped.tsv", settings.out_dir, max_drop)
    _write_dump(settings, data, rows)


def _read_record(settings: DumpSettings, part: int) -> dict:
    out = Path(settings.out_dir)
    path, ark = _record_path(out, part), _ark_path(out, part)
    again = f"Run part {part} of {settings.num_parts} again."
    if not path.is_file():
        raise UserError(f"{path} does not exist: part {part} did not finish. {again}")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["fingerprint"] != fingerprint(settings):
        raise UserError(f"{path} belongs to other data or other options. {again}")
    if record["ark_size"] and (not ark.is_file() or ark.stat().st_size != record["ark_size"]):
        raise UserError(f"{ark} is not what part {part} wrote. {again}")
    return record


def _report_clipping(where: str, rows: dict[str, list]) -> None:
    clipped = {utt_id: row[2] for utt_id, row in rows.items() if row[2]}
    if clipped:
        worst = max(clipped, key=clipped.__getitem__)
        logging.warning(
            "%s: %d utterances had samples beyond full scale, which were clipped "
            "(most: %s, %d samples)", where, len(clipped), worst, clipped[worst],
        )  # fmt: skip


def _write_dump(settings: DumpSettings, data: UttTables, rows: dict[str, list]) -> None:
    out, raw = Path(settings.out_dir), settings.feats_type == "raw"
    keep = [utt_id for utt_id in data.utt_ids if utt_id in rows]
    for name, value in (("feats_type", "raw"), ("audio_format", "flac.ark" if raw else "sound")):
        write_text(out / name, value + "\n")
    for ark in out.glob("data/wav_ark.*.ark"):  # of a run with more parts, or of raw_copy
        if not raw or not 1 <= int(ark.suffixes[-2][1:]) <= settings.num_parts:
            ark.unlink()
    lengths = {utt_id: str(rows[utt_id][1]) for utt_id in keep}
    recordings = {utt_id: rows[utt_id][0] for utt_id in keep}
    data.write(out, keep, utt2num_samples=lengths, **{"wav.scp": recordings})
    seconds = sum(rows[utt_id][1] for utt_id in keep) / settings.fs
    logging.info("%s: %d utterances, %.2f h", out, len(keep), seconds / 3600)
