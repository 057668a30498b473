"""TensorBoard's event files as records: for runs that have no ``metrics.jsonl``.

ESPnet writes each figure under its plain name into ``tensorboard/{train,valid}``, with the number
of batches as its step; ``iter_epoch`` comes first among the figures of an epoch's end.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.metrics import Record

EPOCH_TAG = "iter_epoch"


def has_events(exp: Path) -> bool:
    """Whether an experiment has curves for TensorBoard."""
    return any(exp.glob("tensorboard/*/events.out.tfevents.*"))


def read_event_records(exp: Path) -> list[Record]:
    """Records of ``exp/tensorboard``, those of training first; ``step`` is that of ``batches``.

    Raises:
        UserError: tensorboard is not installed, or a file is damaged elsewhere than at its end.
    """
    train = _records("train", _scalars(exp / "tensorboard" / "train"), {})
    epochs = {record.batches: record.epoch for record in train if record.whole}
    return [*train, *_records("valid", _scalars(exp / "tensorboard" / "valid"), epochs)]


def _scalars(folder: Path) -> Iterator[tuple[int, float, str, float]]:
    """(step, time, name, value) as they were written, the oldest file first."""
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError:
        raise UserError(
            f"{folder.parent} can only be read with tensorboard. Install it: pip install "
            "tensorboard."
        ) from None
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for data in _tf_records(path.read_bytes()):
            try:
                event = Event.FromString(data)
            except DecodeError:
                raise UserError(f"{path} is damaged. Copy it again, or remove it.") from None
            for item in event.summary.value:
                kind = item.WhichOneof("value")
                if kind == "simple_value":
                    yield event.step, event.wall_time, item.tag, item.simple_value
                elif kind == "tensor" and item.tensor.float_val:
                    yield event.step, event.wall_time, item.tag, item.tensor.float_val[0]


def _tf_records(data: bytes) -> Iterator[bytes]:
    """The records of a TFRecord file: length (8 bytes), checksum (4), record, checksum (4).

    What is cut at the end (a run that is writing, or was killed) is left out.
    """
    start = 0
    while start + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, start)
        end = start + 12 + length
        if end + 4 > len(data):
            return
        yield data[start + 12 : end]
        start = end + 4


def _records(
    phase: str, scalars: Iterator[tuple[int, float, str, float]], epochs: dict[int, int]
) -> list[Record]:
    """Scalars gathered by the moment of their report.

    Args:
        epochs: the epoch by step, of the validation; training names its own.
    """
    found: list[Record] = []
    values: dict[str, float] = {}
    for step, time, name, value in scalars:
        is_new = not found or found[-1].batches != step or name in values or name == EPOCH_TAG
        if is_new:
            whole = phase == "valid" or name == EPOCH_TAG
            values = {}
            _drop_what_was_undone(found, step, whole)
            epoch = epochs.get(step, 0) if phase == "valid" else _epoch(found, name, value)
            found.append(Record(phase, epoch, step, step, whole, time, values))
        if name != EPOCH_TAG:
            values[name] = value if math.isfinite(value) else math.nan
    return found


def _drop_what_was_undone(found: list[Record], step: int, whole: bool) -> None:
    """A run that went on from a checkpoint writes its steps again."""
    while found and (found[-1].batches, found[-1].whole) >= (step, whole):
        found.pop()


def _epoch(found: list[Record], name: str, value: float) -> int:
    if name == EPOCH_TAG:
        return round(value)
    return next((record.epoch + 1 for record in reversed(found) if record.whole), 1)
