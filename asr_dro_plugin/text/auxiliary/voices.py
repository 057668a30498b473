"""``local/espeak_voices.tsv``: the voice by which espeak-ng reads a language, and its scripts.

Columns: ``iso`` (ISO 639-3), ``voice``, ``dictionary``, ``scripts`` (ISO 15924, parted by spaces).
"""

import os
from dataclasses import dataclass

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.characters import SCRIPTS, SHARED, script_of

TABLE = "local/espeak_voices.tsv"  # of the recipe
COLUMNS = ("iso", "voice", "dictionary", "scripts")


@dataclass(frozen=True)
class Voice:
    """One row of the table."""

    name: str
    dictionary: str
    scripts: tuple[str, ...]

    def knows(self, word: str) -> bool:
        """Whether every letter of a word is of the voice's scripts, or of any."""
        known = {*SHARED, *(first for code in self.scripts for first in SCRIPTS[code])}
        return all(script_of(char) in known for char in word if char.isalpha())


def read_voices(path: str | os.PathLike = TABLE) -> dict[str, Voice]:
    """ISO code -> voice.  A malformed row is an error with file and line."""
    voices: dict[str, Voice] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split("\t")
        if not line or line.startswith("#") or fields[0] == COLUMNS[0]:
            continue
        scripts = fields[-1].split()
        if len(fields) != len(COLUMNS) or not scripts or not set(scripts) <= SCRIPTS.keys():
            raise UserError(
                f"{path}:{number} is not a row of {' '.join(COLUMNS)} separated by tabs, with "
                f"scripts among {' '.join(sorted(SCRIPTS))}. Write it so."
            )
        if fields[0] in voices:
            raise UserError(f"{path}:{number} gives '{fields[0]}' a second time. Leave one row.")
        voices[fields[0]] = Voice(fields[1], fields[2], tuple(scripts))
    return voices
