"""Names as people write them and as Kaldi's tables hold them: one word, and never two names one."""

import re

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.steps import is_invisible, is_mark

_GONE = "\0"  # no name holds it


def as_id(name: str, filler: str = "-") -> str:
    """A name as one word: letters with their marks, digits, ``.``, ``_`` and ``-`` stay.

    Every run of other characters becomes the filler, what is invisible by design too.
    """
    kept = "".join(char if _is_kept(char) else _GONE for char in name.strip())
    return re.sub(f"{_GONE}+", filler, kept)


def _is_kept(char: str) -> bool:
    return char in "._-" or ((char.isalnum() or is_mark(char)) and not is_invisible(char))


class NamesApart:
    """The names of a corpus and what they became, so that two never become one in silence."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, str], tuple[str, str]] = {}

    def note(self, kind: str, written: str, name: str, where: str) -> None:
        """Take one name.

        Args:
            kind: ``speaker``, ``group``: names of another kind are no matter.
            written: as the corpus has it.
            name: what it became.
            where: ``file:line``.

        Raises:
            UserError: another name of the kind became the same.
        """
        before, place = self._written.setdefault((kind, name), (written, where))
        if before != written:
            raise UserError(
                f"{where} has the {kind} {written!r}, {place} has {before!r}: both would be "
                f"'{name}'. Write one name for one {kind}, and others otherwise."
            )
