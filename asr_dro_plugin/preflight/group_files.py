"""The files of groups that training reads, for data directories that ESPnet's scripts made."""

import os
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap

SOURCES = ("utt2category", "utt2lang")  # the first that is there


def write_groups(train_dir: str | os.PathLike, others: Sequence[str | os.PathLike]) -> GroupMap:
    """Write ``utt2group`` (ids) in every directory, and ``groups.txt`` in the first.

    Args:
        train_dir: its categories are the groups.
        others: validation sets; a category that training lacks is an error.

    Raises:
        UserError: no table of categories, or one that lacks an utterance of ``text``.
    """
    tables = {Path(folder): categories_of(Path(folder)) for folder in (train_dir, *others)}
    groups = GroupMap(tables[Path(train_dir)].values())
    for folder, table in tables.items():
        ids = {utt_id: group_id(groups, name, utt_id, folder) for utt_id, name in table.items()}
        write_table(folder / "utt2group", {utt_id: str(number) for utt_id, number in ids.items()})
    groups.write(Path(train_dir, "groups.txt"))
    return groups


def categories_of(folder: Path) -> dict[str, str]:
    """Utterance -> category of a data directory."""
    if not (folder / "text").is_file():
        raise UserError(f"{folder} is no data directory: it has no text. Name one, as data/train.")
    found = next((folder / name for name in SOURCES if (folder / name).is_file()), None)
    if found is None:
        raise UserError(
            f"{folder} has neither {' nor '.join(SOURCES)}, which tell each utterance's group. "
            f"For one language: awk '{{print $1, \"eng\"}}' {folder}/text > {folder}/utt2lang"
        )
    table = read_table(found)
    if missing := sorted(read_table(folder / "text").keys() - table.keys()):
        raise UserError(
            f"{found} lacks {len(missing)} utterances of {folder}/text, for example {missing[0]}. "
            "Add a line for each."
        )
    return table


def group_id(groups: GroupMap, name: str, utt_id: str, folder: os.PathLike) -> int:
    """Id of an utterance's group; one that training lacks is an error that names it."""
    if name not in groups:
        raise UserError(
            f"{folder}/utt2category gives '{utt_id}' the category '{name}', which the training "
            f"data lacks (it has {' '.join(groups.names)}). Validate on the groups you train on."
        )
    return groups.id_of(name)
