"""Kaldi's text tables (``wav.scp``, ``text``, ``utt2spk`` …) as dictionaries, read strictly.

A table is UTF-8, one ``key value`` a line.  What Kaldi's own tools pass over in silence is an error
here that names file and line: undecodable bytes, a key given twice, a line without a key.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.foreign_files import HEAD, not_utf8, refuse_foreign
from asr_dro_plugin.errors import UserError


def read_lines(path: str | os.PathLike) -> list[str]:
    """Lines of a UTF-8 text file without their newlines; a byte order mark is dropped.

    Raises:
        UserError: no such file; no UTF-8, with what it is and the command that converts it.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Run the stage that makes it.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    refuse_foreign(path, raw[:HEAD])
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        content = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise not_utf8(path, line, raw[error.start]) from None
    lines = content.split("\n")  # not splitlines: U+2028 and friends belong to the text
    if lines and not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_table(path: str | os.PathLike, allow_empty_value: bool = True) -> dict[str, str]:
    """Read ``key value`` lines, in file order.

    Args:
        path: the table.
        allow_empty_value: whether a line may be a key alone (an empty transcript is legal).

    Raises:
        UserError: missing file, not UTF-8, an empty line, a key twice, a forbidden empty value;
            the message names file and line.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.strip(" \t").split(None, 1) if line.strip(" \t") else []
        if not fields:
            raise UserError(f"{path}:{number} is an empty line. Run utils/fix_data_dir.sh.")
        key, value = fields[0], fields[1].strip(" \t") if len(fields) == 2 else ""
        if key in table:
            raise UserError(
                f"{path}:{number} gives '{key}' a second time. Keep one line for each id."
            )
        if not value and not allow_empty_value:
            raise UserError(f"{path}:{number} has no value for '{key}'.")
        table[key] = value
    return table


def write_table(path: str | os.PathLike, table: Mapping[str, str]) -> None:
    """Write ``key value`` lines atomically, sorted by key in byte order as Kaldi's tools expect."""
    with atomic_write(path) as stream:
        stream.writelines(table_lines(table))


def table_lines(table: Mapping[str, str]) -> list[str]:
    """``key value`` lines with their ends, sorted as ``write_table`` writes them."""
    keys = sorted(table, key=lambda k: k.encode())
    return [f"{key} {table[key]}".rstrip(" ") + "\n" for key in keys]


def spk2utt(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Invert ``utt2spk``: speaker -> its utterances, separated by spaces, in byte order."""
    speakers: dict[str, list[str]] = {}
    for utt_id in sorted(utt2spk, key=lambda k: k.encode()):
        speakers.setdefault(utt2spk[utt_id], []).append(utt_id)
    return {speaker: " ".join(utts) for speaker, utts in speakers.items()}


def missing_keys(table: Iterable[str], reference: Iterable[str]) -> list[str]:
    """Keys of ``reference`` that ``table`` lacks, sorted."""
    return sorted(set(reference) - set(table))
