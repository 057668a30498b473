"""The one definition of a group: sorted names <-> ids 0..G-1."""

import os
from collections.abc import Iterable, Sequence

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError


class GroupMap:
    """Names of the groups (languages, or any category) and their ids.

    Ids follow from the sorted names, never from the order of first appearance, so that two runs
    over the same data agree whatever the order of their files.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names: tuple[str, ...] = tuple(sorted(set(names)))
        if not self.names:
            raise UserError("A group map needs at least one group. Is utt2category empty?")
        self._ids = {name: index for index, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupMap) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"GroupMap({list(self.names)})"

    def id_of(self, name: str) -> int:
        """Id of a group; a name outside the map is an error that lists the known ones."""
        try:
            return self._ids[name]
        except KeyError:
            raise UserError(
                f"Group '{name}' is not one of the {len(self)} known groups: "
                f"{' '.join(self.names)}."
            ) from None

    def difference(self, other: "GroupMap") -> str:
        """What distinguishes the two maps, in words; empty when they are equal."""
        here, there = set(self.names), set(other.names)
        parts = []
        if there - here:
            parts.append(f"new: {' '.join(sorted(there - here))}")
        if here - there:
            parts.append(f"gone: {' '.join(sorted(here - there))}")
        return "; ".join(parts)

    def extended(self, names: Iterable[str]) -> "GroupMap":
        """The map over the union of these groups and ``names``."""
        return GroupMap([*self.names, *names])

    def write(self, path: str | os.PathLike) -> None:
        """Write one name a line, in id order."""
        with atomic_write(path) as stream:
            stream.writelines(f"{name}\n" for name in self.names)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "GroupMap":
        """Read what ``write`` wrote; another order or a name twice is an error."""
        names: Sequence[str] = read_lines(path)
        group_map = cls(names)
        if list(group_map.names) != list(names):
            raise UserError(f"{path} is not a sorted list of distinct names. Make it again.")
        return group_map
