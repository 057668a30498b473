"""Manifests as data: JSON with known keys, kinds of values, and a checksum of every member."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from asr_dro_plugin.errors import UserError


@dataclass(frozen=True)
class Schema:
    """What a manifest is to hold.  Nothing in one names code.

    Attributes:
        file: its name.
        format: the value of its key ``format``.
        number: of the schema that is read.
        keys: key -> kinds of its value; a key more or less is refused.
        things: what such files describe, for messages.
        writer: the command that writes them.
    """

    file: str
    format: str
    number: int
    keys: Mapping[str, tuple[type, ...]]
    things: str
    writer: str

    def read(self, raw: bytes, where: str) -> dict:
        """Read and check a manifest.

        Raises:
            UserError: no JSON, an unknown key, a missing one, a value of another kind, another
                schema, a member without size and checksum.
        """
        try:
            manifest = json.loads(raw, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{where}: {self.file} is no JSON ({error}). Get the file again."
            ) from None
        if not isinstance(manifest, dict) or manifest.get("format") != self.format:
            raise UserError(f"{where}: {self.file} describes no {self.things}. Get it again.")
        if manifest.get("schema") != self.number:
            raise UserError(
                f"{where} has schema {manifest.get('schema')!r:.40}, and this asr-dro reads schema "
                f"{self.number}. Install the version that wrote it."
            )
        self._check_keys(manifest, where)
        self._check_members(manifest["members"], where)
        return manifest

    def _check_keys(self, manifest: Mapping, where: str) -> None:
        for key in sorted(manifest.keys() ^ self.keys.keys()):
            what = "lacks" if key in self.keys else "holds an unknown key"
            raise UserError(
                f"{where}: {self.file} {what} '{key:.40}'. It was not made by {self.writer}."
            )
        for key, kinds in self.keys.items():
            value = manifest[key]
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise UserError(f"{where}: {self.file} has a value of another kind for '{key}'.")

    def _check_members(self, members: Mapping, where: str) -> None:
        for name, entry in members.items():
            whole = isinstance(entry, dict) and entry.keys() == {"bytes", "sha256"}
            is_size = whole and type(entry["bytes"]) is int and entry["bytes"] >= 0
            if not is_size or not re.fullmatch("[0-9a-f]{64}", str(entry["sha256"])):
                raise UserError(f"{where}: {self.file} has no size and checksum for '{name:.80}'.")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
