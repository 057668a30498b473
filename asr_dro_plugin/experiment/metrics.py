"""``metrics.jsonl`` of an experiment: the figures of its training, a line for each time they are
reported.

    {"phase": "train", "epoch": 3, "step": 180, "batches": 720, "whole": true, "time": 1795269623.1,
     "values": {"loss": 23.9, "q_eng": 0.27, ...}}

``step`` counts optimizer updates, ``batches`` batches, both of all epochs; ``whole`` tells the
means of an epoch from those since the line before.  A value that is no number is null.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from asr_dro_plugin.base.files import write_text
from asr_dro_plugin.experiment import METRICS


@dataclass(frozen=True)
class Record:
    """Figures of a moment.

    Attributes:
        phase: ``train`` or ``valid``.
        step: optimizer updates; ``batches``: batches, of all epochs.
        whole: means of the whole epoch; otherwise of the batches since the last record.
        time: seconds since 1970.
        values: by TensorBoard's names.
    """

    phase: str
    epoch: int
    step: int
    batches: int
    whole: bool
    time: float
    values: Mapping[str, float]

    def to_json(self) -> str:
        """One line, without its end."""
        values = {name: v if math.isfinite(v) else None for name, v in self.values.items()}
        return json.dumps({**asdict(self), "values": values})

    @classmethod
    def from_json(cls, line: str) -> "Record":
        """What ``to_json`` wrote.

        Raises:
            ValueError: the line is cut, or of something else.
        """
        try:
            fields = json.loads(line)
            values = {n: math.nan if v is None else v for n, v in fields["values"].items()}
            return cls(**{**fields, "values": values})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a line of {METRICS}: {error}") from None


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file that may be growing: a line that is not whole is passed over."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                yield Record.from_json(line)
            except ValueError:
                continue


def cut_records(path: Path, epoch: int, batches: int) -> None:
    """Leave what a run had reported when it stood at so many batches, in ``epoch``.

    What was written after the checkpoint that the run goes on from will be written again.
    """
    if not path.exists():
        return
    kept = [
        record.to_json()
        for record in read_records(path)
        if record.epoch < epoch
        or (record.epoch == epoch and not record.whole and record.batches <= batches)
    ]
    text = "".join(f"{line}\n" for line in kept)
    if text != path.read_text(encoding="utf-8", errors="replace"):
        write_text(path, text)
