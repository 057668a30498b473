"""Names, seconds and groups of a set's utterances, from the tables that stage 10 writes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from espnet2.tasks.abs_task import IteratorOptions

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError

SETS = {"train": "training data", "valid": "dev set"}


@dataclass(frozen=True)
class PlannedData:
    """What a plan is made of.

    Attributes:
        utt_ids: (N,) names; durations: (N,) seconds; group_ids: (N,) ids.
        dropped: a line for each reason for which utterances were left out.
    """

    utt_ids: list[str]
    durations: np.ndarray
    group_ids: np.ndarray
    dropped: tuple[str, ...] = ()

    def kept(self, keep: np.ndarray, where: str, reason: str) -> "PlannedData":
        """The utterances of a mask; the others are added to ``dropped`` with the reason."""
        if keep.all():
            return self
        first = self.utt_ids[int(np.flatnonzero(~keep)[0])]
        line = f"{where}: {(~keep).sum()} utterances left out, {reason} (first: {first})."
        return replace(
            self,
            utt_ids=[utt_id for utt_id, is_kept in zip(self.utt_ids, keep.tolist()) if is_kept],
            durations=self.durations[keep],
            group_ids=self.group_ids[keep],
            dropped=(*self.dropped, line),
        )

    def without_what_lacks_data(self, dataset: Any) -> "PlannedData":
        """Without utterances that one of the dataset's files does not know."""
        data = self
        for name, loader in getattr(dataset, "loader_dict", {}).items():
            known = names_of(loader)
            if known is not None:
                keep = np.array([utt_id in known for utt_id in data.utt_ids], dtype=bool)
                path = dataset.debug_info[name][0]
                data = data.kept(keep, "Shape file", f"missing in {path}")
        return data


def names_of(loader: Any) -> set[str] | None:
    """Utterances that one of ESPnet's loaders knows; None for one that makes them up.

    By iteration, for ``in`` decodes the sound where a loader inherits it from ``Mapping``.
    """
    try:
        return set(loader)
    except TypeError:
        return None


def read_planned_data(
    iter_options: IteratorOptions, mode: str, groups: Sequence[str] | None, needs_groups: bool
) -> PlannedData:
    """Read the lengths from the shape file (that of ``speech``, else the first) and the ids from
    the data named ``group_ids``.

    Args:
        iter_options: ESPnet's.
        mode: ``train`` or ``valid``.
        groups: names of the model's groups.
        needs_groups: whether a batch is to hold one group; otherwise ids may be missing (then 0).

    Raises:
        UserError: a length or an id that is no number, no ids where they are needed, an id that
            is not one of the groups.
    """
    shape_files = [Path(path) for path in iter_options.shape_files]
    if not shape_files:
        raise UserError("A sampler needs the lengths of the utterances. Give a shape file.")
    of_speech = (path for path in shape_files if path.name.startswith("speech"))
    shape_file, given = next(of_speech, shape_files[0]), iter_options.data_path_and_name_and_type
    ids_file = next((Path(path) for path, name, _ in given if name == "group_ids"), None)
    table = read_table(shape_file, allow_empty_value=False)
    utt_ids = list(table)
    samples = numbers([value.split(",", 1)[0] for value in table.values()], utt_ids, shape_file)
    data = PlannedData(utt_ids, samples / SAMPLE_RATE, np.zeros(len(utt_ids), dtype=np.int64))
    data = data.kept(samples > 0, str(shape_file), "without samples")
    if ids_file is None:
        if needs_groups:
            raise UserError(
                f"The {SETS[mode]} has no group ids, and the sampler makes batches of one group. "
                "Run stage 10, which writes utt2group, or set sampler: sorted."
            )
        return data
    ids = read_table(ids_file, allow_empty_value=False)
    data = data.kept(
        np.array([utt_id in ids for utt_id in data.utt_ids], dtype=bool),
        str(shape_file),
        f"without a group in {ids_file}",
    )
    group_ids = numbers([ids[utt_id] for utt_id in data.utt_ids], data.utt_ids, ids_file)
    if groups is None and len(bad := np.flatnonzero(group_ids < 0)):
        raise UserError(
            f"{ids_file} gives '{data.utt_ids[bad[0]]}' the group {group_ids[bad[0]]}; groups are "
            "0, 1, 2 and so on. Run stage 10 again."
        )
    data = replace(data, group_ids=group_ids)
    return data if groups is None else with_known_groups(data, mode, groups, ids_file)


def with_known_groups(
    data: PlannedData, mode: str, groups: Sequence[str], ids_file: Path
) -> PlannedData:
    """``data``, with a line for groups that nothing trains; an id outside ``groups`` is refused."""
    is_unknown = (data.group_ids < 0) | (data.group_ids >= len(groups))
    if is_unknown.any():
        first = int(np.flatnonzero(is_unknown)[0])
        raise UserError(
            f"{ids_file} gives {is_unknown.sum()} utterances of the {SETS[mode]} groups that the "
            f"model lacks (first: {data.utt_ids[first]}, id {data.group_ids[first]}; it has "
            f"{len(groups)}: {' '.join(groups)}). Run stage 10 again."
        )
    counts_G = np.bincount(data.group_ids, minlength=len(groups))
    absent = [name for name, count in zip(groups, counts_G.tolist()) if count == 0]
    if mode != "train" or not absent:
        return data
    line = f"Without training data, so never trained: {' '.join(absent)} (of {len(groups)} groups)."
    return replace(data, dropped=(*data.dropped, line))


def numbers(words: Sequence[str], utt_ids: Sequence[str], where: Path) -> np.ndarray:
    """(N,) of int64; a word that is no number is refused with its utterance."""
    found = []
    for utt_id, word in zip(utt_ids, words, strict=True):
        try:
            found.append(int(word))
        except ValueError:
            raise UserError(
                f"{where} gives '{utt_id}' the value '{word}', which is no whole number. "
                "Run stage 10 again."
            ) from None
    return np.array(found, dtype=np.int64)
