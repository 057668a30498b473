"""What is there already is another run's work, and stays unless ``--overwrite true`` is given."""

import os
from collections.abc import Iterable
from pathlib import Path

from asr_dro_plugin.base.arguments import Group, Parser
from asr_dro_plugin.errors import UserError


def add_overwrite(parser: Parser | Group) -> None:
    """The option of a command that would replace files."""
    parser.add_switch("--overwrite", "replace what an earlier command has written there")


def refuse_earlier(paths: Iterable[str | os.PathLike], overwrite: bool) -> None:
    """Refuse to replace any of ``paths``, before the work that would.

    Raises:
        UserError: one is there, and ``overwrite`` is not given.
    """
    there = [] if overwrite else [path for path in paths if os.path.lexists(path)]
    if there:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise UserError(
            f"{there[0]}{more} is there already. Give another place, or --overwrite true."
        )


def refuse_other(path: str | os.PathLike, content: bytes, overwrite: bool) -> None:
    """Refuse to replace a file by other content; the same again is no loss.

    Raises:
        UserError: as ``refuse_earlier``.
    """
    path = Path(path)
    if not (path.is_file() and path.read_bytes() == content):
        refuse_earlier([path], overwrite)
