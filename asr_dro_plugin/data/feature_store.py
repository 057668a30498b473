"""Features of a set's utterances on the disk (``--feats_type extracted``): parts that may be
stopped at any moment, and a folder that is whole or refused.

    feats.scp, utt2num_frames   pointers into the archives, and frames; from the merge on
    extracted.json              the record, written last: what made the features, and of how many
    data/feats.K.HASH.ark       a matrix (T, features) an utterance, float16; HASH is of what made
                                it, so that who still reads features of before gets no others
    parts/part.K.index          a line for each utterance that is on the disk

Kaldi's own matrices have 32 bits or are quantised between their extremes, which outliers ruin; so
the archives hold what ``kaldiio`` writes of numpy arrays, and ESPnet reads them by a type of its
table that ``espnet.choices`` adds (``ARK_TYPE``).
"""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from asr_dro_plugin.base.files import as_disk_full, write_json, write_text
from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.errors import UserError

ARK_TYPE = "float16_ark"  # in --train_data_path_and_name_and_type
FEATS, FRAMES, RECORD = "feats.scp", "utt2num_frames", "extracted.json"
LARGEST = float(np.finfo(np.float16).max)
AGAIN = "Run the recipe from stage 4 (--stage 4)."


@dataclass(frozen=True)
class Row:
    """An utterance in an archive.

    Attributes:
        start, end: bytes of its matrix.
        num_frames: T.
        num_clipped: values that float16 cannot hold.
    """

    utt_id: str
    start: int
    end: int
    num_frames: int
    num_clipped: int


def fingerprint(*facts: object) -> str:
    """Hash of plain facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def sound_facts(wav_scp: Mapping[str, str], num_samples: Mapping[str, str]) -> list:
    """What tells the sound of utterances from another: pointers, lengths, and of each file that
    they point into its size and time."""
    files = {path.rpartition(":")[0] if ":" in path else path for path in wav_scp.values()}
    status = {path: os.stat(path) for path in sorted(files) if os.path.exists(path)}
    stamps = [[path, each.st_size, each.st_mtime_ns] for path, each in status.items()]
    return [[[u, wav_scp[u], num_samples[u]] for u in sorted(wav_scp)], stamps]


def in_float16(features: np.ndarray, utt_id: str) -> tuple[np.ndarray, int]:
    """(T, D) float32 -> float16, and how many values are clipped to its largest, 65504.

    Raises:
        UserError: a value that is no number.
    """
    if not np.isfinite(features).all():
        raise UserError(
            f"The model makes values that are no numbers of {utt_id}. Listen to it, and leave it "
            "out, or give another model."
        )
    num_clipped = int((np.abs(features) > LARGEST).sum())
    return features.clip(-LARGEST, LARGEST).astype(np.float16), num_clipped


class PartWriter:
    """Appends matrices to a part's archive; what an earlier run has finished stays.

    After a kill the archive is cut behind the last matrix that the index knows.

    Args:
        folder: of the set.
        number: of the part, from 1.
        made_by: fingerprint of all that decides the part's content; another one than before begins
            the part anew.
        key: what the features of every part depend on, for ``key_of_parts``.
    """

    def __init__(
        self, folder: str | os.PathLike, number: int, made_by: str, key: Mapping | None = None
    ) -> None:
        folder = Path(folder)
        for name in (RECORD, FEATS):  # from here on the set is not whole
            (folder / name).unlink(missing_ok=True)
        self.index_path = index_path(folder, number)
        self.ark_path = ark_path(folder, number, made_by)
        for path in (self.index_path, self.ark_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        for ark in self.ark_path.parent.glob(f"feats.{number}.*ark"):
            if ark != self.ark_path:
                ark.unlink()
        self.rows = finished_rows(folder, number, made_by)
        self._head = {"made_by": made_by, "key": key or {}}
        self._ark: IO[bytes] | None = None
        self._index: IO[str] | None = None

    @property
    def done(self) -> set[str]:
        """Ids of the utterances that are on the disk."""
        return {row.utt_id for row in self.rows}

    def __enter__(self) -> Self:
        end = self.rows[-1].end if self.rows else 0
        self._ark = open(self.ark_path, "r+b" if end else "wb")
        self._ark.truncate(end)
        self._ark.seek(end)
        lines = [json.dumps(self._head) + "\n", *map(_line, self.rows)]
        write_text(self.index_path, "".join(lines))
        self._index = open(self.index_path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ark.close()
        self._index.close()

    def write(self, matrices: Iterable[tuple[str, np.ndarray, int]]) -> None:
        """Append (utt_id, (T, D) float16, clipped values); on the disk when this returns.

        Raises:
            DiskFull: there is no room.
        """
        import kaldiio

        rows = []
        with as_disk_full(self.ark_path):
            for utt_id, matrix, num_clipped in matrices:
                start = self._ark.tell() + len(utt_id.encode()) + 1
                kaldiio.save_ark(self._ark, {utt_id: matrix}, write_function="numpy")
                rows.append(Row(utt_id, start, self._ark.tell(), len(matrix), num_clipped))
            self._ark.flush()
            os.fdatasync(self._ark.fileno())  # so that no index speaks of what a crash has lost
            self._index.writelines(_line(row) for row in rows)
            self._index.flush()
        self.rows += rows


def _line(row: Row) -> str:
    return json.dumps(astuple(row), ensure_ascii=False) + "\n"


def ark_path(folder: str | os.PathLike, number: int, made_by: str) -> Path:
    """A part's archive."""
    return Path(folder, "data", f"feats.{number}.{made_by[:8]}.ark")


def index_path(folder: str | os.PathLike, number: int) -> Path:
    """A part's index."""
    return Path(folder, "parts", f"part.{number}.index")


def finished_rows(folder: str | os.PathLike, number: int, made_by: str) -> list[Row]:
    """What of a part is on the disk; nothing where it was made by something else."""
    ark, (head, *rows) = ark_path(folder, number, made_by), _index_of(folder, number)
    if not ark.is_file() or head.get("made_by") != made_by:
        return []
    size = ark.stat().st_size
    return list(itertools.takewhile(lambda row: row.end <= size, (Row(*row) for row in rows)))


def _index_of(folder: str | os.PathLike, number: int) -> list:
    """What a part's index says, its head first, as far as it was written; ``[{}]`` without one."""
    path, content = index_path(folder, number), []
    if path.is_file():
        *lines, _torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
        with contextlib.suppress(ValueError):
            for line in lines:
                content.append(json.loads(line))
    return content or [{}]


def key_of_parts(folder: str | os.PathLike) -> dict:
    """The key that the first part was made with.

    Raises:
        UserError: there is no such part.
    """
    head = _index_of(folder, 1)[0]
    if "key" not in head:
        raise UserError(f"{index_path(folder, 1)} does not exist: no part was made. {AGAIN}")
    return head["key"]


def merge(
    folder: str | os.PathLike, made_by: Sequence[str], utt_ids: Sequence[str], facts: Mapping
) -> dict:
    """Make the tables and the record of finished parts.

    Args:
        folder: of the set.
        made_by: fingerprint of each part.
        utt_ids: of the set.
        facts: what the record says beside counts.

    Returns:
        The record.

    Raises:
        UserError: an utterance is in no part.
    """
    folder = Path(folder)
    arks = [ark_path(folder, number, each) for number, each in enumerate(made_by, 1)]
    parts = [finished_rows(folder, number, each) for number, each in enumerate(made_by, 1)]
    pairs = [(ark, row) for ark, rows in zip(arks, parts, strict=True) for row in rows]
    pointers = {row.utt_id: f"{ark}:{row.start}" for ark, row in pairs}
    if lacking := [utt_id for utt_id in utt_ids if utt_id not in pointers]:
        raise UserError(
            f"{folder} lacks the features of {len(lacking)} of {len(utt_ids)} utterances (first: "
            f"{lacking[0]}): a part did not finish. {AGAIN}"
        )
    used = {*arks, *(index_path(folder, number) for number in range(1, len(arks) + 1))}
    for path in {*folder.glob("data/*.ark"), *folder.glob("parts/*.index")} - used:
        path.unlink()  # of a run in more parts
    rows = [row for _, row in pairs]
    write_table(folder / FRAMES, {row.utt_id: str(row.num_frames) for row in rows})
    write_table(folder / FEATS, pointers)
    record = {
        **facts, "num_utts": len(rows), "num_frames": sum(row.num_frames for row in rows),
        "num_clipped": {row.utt_id: row.num_clipped for row in rows if row.num_clipped},
        "ark_sizes": {ark.name: ark.stat().st_size for ark in arks},
    }  # fmt: skip
    write_json(folder / RECORD, record)
    return record


def read_record(folder: str | os.PathLike) -> dict:
    """The record of a folder that is whole.

    Raises:
        UserError: it is not there, not finished, or an archive is missing or of another size.
    """
    path = Path(folder, RECORD)
    if not path.is_file():
        what = "is not finished" if Path(folder).exists() else "does not exist"
        raise UserError(f"The features in {folder} cannot be used: the folder {what}. {AGAIN}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        sizes = record["ark_sizes"].items()
    except (ValueError, LookupError, AttributeError, TypeError):
        raise UserError(f"{path} is damaged. Remove it. {AGAIN}") from None
    for name, size in sizes:
        ark = path.parent / "data" / name
        if not ark.is_file() or ark.stat().st_size != size:
            raise UserError(
                f"{ark} is not what {path} was written of ({size} bytes). Remove {path}. {AGAIN}"
            )
    return record


def frames_of(folder: str | os.PathLike, utt_ids: Iterable[str]) -> dict[str, int]:
    """Frames of utterances in a folder that is whole.

    Raises:
        UserError: as ``read_record``; an utterance is missing.
    """
    read_record(folder)
    frames = {u: int(number) for u, number in read_table(Path(folder, FRAMES)).items()}
    if lacking := [utt_id for utt_id in utt_ids if utt_id not in frames]:
        raise UserError(
            f"{folder} lacks the features of {len(lacking)} utterances (first: {lacking[0]}). "
            f"{AGAIN}"
        )
    return frames


def read_features(feats_scp: str | os.PathLike) -> Mapping[str, np.ndarray]:
    """Matrices (T, features) of float16 that a Kaldi archive holds as ``kaldiio`` writes them."""
    import kaldiio

    return kaldiio.load_scp(str(feats_scp))
