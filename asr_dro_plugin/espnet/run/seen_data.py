"""What a model was trained on: utterances, seconds and labels of each group and corpus."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.espnet.model.lengths import num_samples_of

NO_CORPUS = "-"
COLUMNS = ("group", "corpus", "utterances", "seconds", "labels")


class SeenCounter:
    """Counts what passed through training, repeats included, on the host.

    Args:
        groups: names of the groups by id; empty where none are known.
        utt2corpus: corpus of each utterance; others are counted under ``-``.
    """

    def __init__(
        self, groups: Sequence[str] = (), utt2corpus: Mapping[str, str] | None = None
    ) -> None:
        self.groups, self.utt2corpus = tuple(groups), utt2corpus or {}
        self.counts: dict[tuple[str, str], list[int]] = {}

    def add(self, utt_ids: Sequence[str], batch: Mapping[str, torch.Tensor]) -> None:
        """Count a batch as the data loader gave it (on the CPU)."""
        count = len(utt_ids)
        samples = num_samples_of(batch).tolist() if "speech_lengths" in batch else [0] * count
        labels = self._column(batch, "text_lengths", count)
        ids = self._column(batch, "group_ids", count, missing=-1)
        for utt_id, group_id, num_samples, num_labels in zip(
            utt_ids, ids, samples, labels, strict=True
        ):
            group = self.groups[group_id] if 0 <= group_id < len(self.groups) else NO_CORPUS
            key = (group, self.utt2corpus.get(utt_id, NO_CORPUS))
            cell = self.counts.setdefault(key, [0, 0, 0])
            for index, amount in enumerate((1, num_samples, num_labels)):
                cell[index] += amount

    @staticmethod
    def _column(batch: Mapping, name: str, count: int, missing: int = 0) -> list[int]:
        return batch[name].reshape(-1).tolist() if name in batch else [missing] * count

    def state_dict(self) -> dict:
        """Plain lists and numbers."""
        return {"counts": [[*key, *cell] for key, cell in sorted(self.counts.items())]}

    def load_state_dict(self, state: Mapping) -> None:
        """Take over the counts of ``state_dict``."""
        self.counts = {(row[0], row[1]): list(row[2:]) for row in state["counts"]}

    def add_counts(self, states: Iterable[Mapping]) -> "SeenCounter":
        """A counter that holds the sum of several ``state_dict``s."""
        total = SeenCounter(self.groups)
        for state in states:
            for group, corpus, *cell in state["counts"]:
                kept = total.counts.setdefault((group, corpus), [0, 0, 0])
                total.counts[group, corpus] = [a + b for a, b in zip(kept, cell, strict=True)]
        return total

    def table(self) -> list[dict[str, str | int | float]]:
        """One row a group and corpus: utterances, seconds, labels."""
        rows = (
            (*key, utterances, round(samples / SAMPLE_RATE, 2), labels)
            for key, (utterances, samples, labels) in sorted(self.counts.items())
        )
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def write(self, path: str | os.PathLike) -> None:
        """Write ``table`` as JSON."""
        with atomic_write(path) as stream:
            json.dump(self.table(), stream, indent=1)
            stream.write("\n")


def read_corpora(text: str | os.PathLike) -> dict[str, str]:
    """``utt2corpus`` beside a training set's ``text``; empty where there is none."""
    path = Path(text).parent / "utt2corpus"
    return read_table(path) if path.exists() else {}
