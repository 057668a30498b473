"""One data set: its tables in memory, all over the same utterances."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import missing_keys, read_table, spk2utt, write_table
from asr_dro_plugin.errors import UserError

REQUIRED = ("text", "utt2spk", "utt2lang", "utt2category")
CARRIED = ("utt2corpus",)  # from stage to stage, where stage 1 has made it


@dataclass
class UttTables:
    """Tables of one set by file name, each utterance id -> value; ``text`` decides which ids."""

    path: Path
    tables: dict[str, dict[str, str]]

    @classmethod
    def read(
        cls,
        path: str | os.PathLike,
        required: Iterable[str] = REQUIRED,
        optional: Iterable[str] = CARRIED,
    ) -> "UttTables":
        """Read the tables; ``optional`` ones only where the file is there.

        Raises:
            UserError: a table is missing, damaged, or has other ids than ``text``.
        """
        path = Path(path)
        present = [name for name in optional if (path / name).is_file()]
        names = list(dict.fromkeys(["text", *required, *present]))
        data = cls(path, {name: read_table(path / name, name == "text") for name in names})
        if not data.tables["text"]:
            raise UserError(f"{path}/text is empty. Run the stage that makes {path} again.")
        for name in names:
            check_same_ids(path, name, data.tables[name], data.tables["text"])
        return data

    @property
    def utt_ids(self) -> list[str]:
        """All ids in byte order."""
        return sorted(self.tables["text"], key=lambda utt_id: utt_id.encode())

    def lang(self, utt_id: str) -> str:
        """ISO 639-3 code of an utterance."""
        return self.tables["utt2lang"][utt_id]

    def totals(self) -> Counter[str]:
        """Utterances of each language."""
        return Counter(self.tables["utt2lang"].values())

    def write(self, path: str | os.PathLike, utt_ids: Collection[str], **more: Mapping) -> None:
        """Write the tables restricted to ``utt_ids``, the tables in ``more``, and spk2utt.

        ``wav.scp`` comes last: a directory without it is not finished.  What is carried along but
        not here any more does not stay behind from an earlier run.
        """
        path, keep = Path(path), set(utt_ids)
        if not keep:
            raise UserError(f"{path} would be empty: no utterance of {self.path} is usable.")
        tables = {**self.tables, **more}
        for name in CARRIED:
            if name not in tables:
                (path / name).unlink(missing_ok=True)
        tables["spk2utt"] = spk2utt({u: self.tables["utt2spk"][u] for u in keep})
        for name in sorted(tables, key=lambda name: (name == "wav.scp", name)):
            table = tables[name]
            whole = name == "spk2utt"
            write_table(path / name, table if whole else {u: table[u] for u in table if u in keep})


def check_same_ids(
    path: Path, name: str, table: Mapping[str, str], reference: Mapping[str, str]
) -> None:
    """Refuse ids in ``name`` that ``text`` lacks, and the other way round."""
    for holder, other, lacking in (
        ("text", name, missing_keys(table, reference)),
        (name, "text", missing_keys(reference, table)),
    ):
        if lacking:
            raise UserError(
                f"{path}/{other} lacks {len(lacking)} utterances of {path}/{holder} "
                f"(first: {lacking[0]}). Run utils/fix_data_dir.sh {path}."
            )
