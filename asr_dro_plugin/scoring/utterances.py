"""What was counted of each utterance, as arrays, and the list of it on disk."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.scoring.edit_distance import PairCounts

COLUMNS = (
    "utt_id", "group", "unit",
    "cer_errors", "cer_sub", "cer_del", "cer_ins", "cer_ref",
    "wer_errors", "wer_sub", "wer_del", "wer_ins", "wer_ref",
    "lid", "ref", "hyp",
)  # fmt: skip


@dataclass(frozen=True)
class Utterances:
    """N utterances, ordered by group and id.

    Args:
        utt_ids: their ids.
        group_names: G names, sorted; ``group_ids`` (N,) says which.
        refs, hyps: the texts as they were compared.
        langs: the language each one is in, as far as tag or group tell.
        tags: the language recognised (a leading tag), or None.
        lid_correct: (N,) bool.
        counts: ``cer``, ``wer`` and, where it was asked for, ``per``.
        no_space: (N,) bool, words are characters there.
    """

    utt_ids: Sequence[str]
    group_names: tuple[str, ...]
    group_ids: np.ndarray
    refs: Sequence[str]
    hyps: Sequence[str]
    langs: Sequence[str]
    tags: Sequence[str | None]
    lid_correct: np.ndarray
    counts: Mapping[str, PairCounts]
    no_space: np.ndarray

    def __len__(self) -> int:
        return len(self.utt_ids)

    def groups(self) -> list[str]:
        """The group's name of each utterance."""
        return [self.group_names[number] for number in self.group_ids.tolist()]

    def unit_names(self, units: Mapping[str, str] | None) -> list[str]:
        """Speaker or recording of each utterance; without a table its own id."""
        return [units[utt_id] for utt_id in self.utt_ids] if units else list(self.utt_ids)


def write_utterances(
    path: str | os.PathLike, utterances: Utterances, units: Mapping[str, str] | None = None
) -> None:
    """Write one line an utterance with its counts and texts, parted by tabs, a header first."""
    with atomic_write(path) as stream:
        for row in _rows(utterances, units):
            stream.write("\t".join(map(str, row)) + "\n")


def _rows(utterances: Utterances, units: Mapping[str, str] | None) -> Iterator[Sequence]:
    yield COLUMNS
    kinds = []
    for metric in ("cer", "wer"):
        counts = utterances.counts[metric]
        kinds += [column.tolist() for column in (counts.errors, *counts.columns)]
    yield from zip(
        utterances.utt_ids, utterances.groups(), utterances.unit_names(units), *kinds,
        [tag or "-" for tag in utterances.tags], utterances.refs, utterances.hyps,
        strict=True,
    )  # fmt: skip
