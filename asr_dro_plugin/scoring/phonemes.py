"""Phonemes of a text by a table, longest match first, for the phoneme error rate."""

import os
import re
from collections import Counter

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError


class PhonemeMap:
    """Graphemes to phonemes.

    ``sch<TAB>ʃ``, ``x<TAB>k s``: a symbol of one or more characters, and its phonemes parted by
    spaces (none: the symbol is silent).  A line that begins with ``#`` is a comment.

    Attributes:
        unknown: how often each character without an entry was met; it stands for itself.
    """

    def __init__(self, table: dict[str, list[str]]) -> None:
        self.table = table
        self.unknown: Counter[str] = Counter()
        longest_first = sorted(table, key=len, reverse=True)
        self._pattern = re.compile("|".join([*map(re.escape, longest_first), "."]), re.DOTALL)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "PhonemeMap":
        """Read the table; a line without a tab, or a symbol given twice, is an error."""
        table: dict[str, list[str]] = {}
        for number, line in enumerate(read_lines(path), 1):
            if not line.strip() or line.startswith("#"):
                continue
            symbol, tab, phonemes = line.partition("\t")
            if not tab or not symbol or symbol in table:
                raise UserError(
                    f"{path}:{number} is not a new symbol, a tab and its phonemes. "
                    "Keep one line for each symbol."
                )
            table[symbol] = phonemes.split()
        if not table:
            raise UserError(f"{path} holds no symbol. Write lines of symbol, tab, phonemes.")
        return cls(table)

    def __call__(self, text: str) -> list[str]:
        """Phonemes of a normalised text; spaces only end a match."""
        phonemes: list[str] = []
        for word in text.split():
            for symbol in self._pattern.findall(word):
                if symbol in self.table:
                    phonemes += self.table[symbol]
                else:
                    self.unknown[symbol] += 1
                    phonemes.append(symbol)
        return phonemes
