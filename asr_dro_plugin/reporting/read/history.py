"""The course of a training: its figures over the steps, from its ``metrics.jsonl``."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import METRICS
from asr_dro_plugin.experiment.metrics import Record, read_records

OF_THE_WHOLE_SET = re.compile(r"cer_(ctc|interctc_layer\d+)$")  # ESPnet's


class Series(NamedTuple):
    """One figure over the training.

    Attributes:
        steps: (N,) optimizer updates.
        epochs: (N,) from 1; values: (N,), NaN where a figure was no number.
    """

    steps: np.ndarray
    epochs: np.ndarray
    values: np.ndarray


class History:
    """Records of a training, by phase (``train``, ``valid``)."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = list(records)

    def names(self, phase: str) -> list[str]:
        """The figures that a phase has in any record, in the order of their first report."""
        found: dict[str, None] = {}
        for record in self._of(phase):
            found.update(dict.fromkeys(record.values))
        return list(found)

    def groups(self) -> list[str]:
        """Names of the groups that validation scored, sorted."""
        names = [name for name in self.names("valid") if not OF_THE_WHOLE_SET.match(name)]
        return sorted(n.removeprefix("cer_") for n in names if n.startswith("cer_"))

    def series(self, phase: str, name: str, whole: bool = True) -> Series:
        """A figure over the training; empty where it was never reported.

        Args:
            whole: the mean of each epoch; otherwise what was logged within epochs, every
                ``log_interval`` batches (training only).
        """
        found = [r for r in self._of(phase) if r.whole == whole and name in r.values]
        return Series(
            np.array([record.step for record in found], dtype=np.int64),
            np.array([record.epoch for record in found], dtype=np.int64),
            np.array([record.values[name] for record in found], dtype=np.float64),
        )

    def newest(self) -> Record | None:
        """The record that was written last."""
        return max(self.records, key=lambda r: (r.time, r.batches, r.whole), default=None)

    def _of(self, phase: str) -> list[Record]:
        return [record for record in self.records if record.phase == phase]


def read_history(exp: str | os.PathLike) -> History:
    """What ``metrics.jsonl`` of an experiment says; may be empty.

    Raises:
        UserError: ``exp`` is no folder.
    """
    exp = Path(exp)
    if not exp.is_dir():
        raise UserError(f"{exp} is no folder of an experiment (exp/asr_..., which stage 11 makes).")
    path = exp / METRICS
    return History(list(read_records(path)) if path.exists() else [])
