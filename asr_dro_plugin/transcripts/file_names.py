"""One file an utterance, named after its id: reversible, and never two ids in one file.

Letters, digits, ``.``, ``_`` and ``-`` stay; every other character becomes the bytes of its UTF-8
in the form ``%2F``, as in a URL.  So ``rec/a 1`` lies in ``rec%2Fa%201.txt``.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from asr_dro_plugin.errors import UserError

LONGEST_NAME = 255  # bytes, of Linux's and macOS' file systems
ESCAPED = re.compile(r"(?:%[0-9A-F]{2})+")


def escape_id(utt_id: str) -> str:
    """The id as one word that is a legal file name; ``unescape_id`` gives the id back."""
    return _with_escapes(utt_id, _is_kept)


def unescape_id(name: str) -> str:
    """The id of an escaped name (without its ending); a lone ``%`` stays as it is."""
    return ESCAPED.sub(_decoded, name)


def file_names(utt_ids: Iterable[str], ending: str = ".txt") -> dict[str, str]:
    """A file name for each id, no two alike, not even where the disk knows no upper case.

    Of ids that differ in nothing but upper and lower case, the upper-case letters are escaped.

    Raises:
        UserError: an id that is empty, or too long for a file name.
    """
    stems = {utt_id: escape_id(utt_id) for utt_id in utt_ids}
    counts: dict[str, int] = {}
    for stem in stems.values():
        counts[stem.casefold()] = counts.get(stem.casefold(), 0) + 1
    names = {}
    for utt_id, stem in stems.items():
        alone = counts[stem.casefold()] == 1
        names[utt_id] = (stem if alone else _with_escapes(utt_id, _is_lower)) + ending
        if not utt_id or len(names[utt_id].encode()) > LONGEST_NAME:
            raise UserError(
                f"The id '{utt_id}' cannot be a file's name ({len(stem.encode())} bytes). "
                "Give it another id, or choose a format that is one file for all."
            )
    return names


def _is_kept(char: str) -> bool:
    """Whether it may stand in a file name; letters that macOS would take apart may not."""
    return char in "._-" or (char.isalnum() and unicodedata.normalize("NFKD", char) == char)


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def _decoded(match: re.Match) -> str:
    return unquote_to_bytes(match[0]).decode("utf-8", "surrogateescape")


def _is_lower(char: str) -> bool:
    return char.casefold() == char and _is_kept(char)


def _with_escapes(utt_id: str, may_stay: Callable[[str], bool]) -> str:
    stem = "".join(char if may_stay(char) else _escaped(char) for char in utt_id)
    return _escaped(".") + stem[1:] if stem.startswith(".") else stem
