"""A folder that is whole or absent: made under a temporary name and moved into place last."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asr_dro_plugin.base.files import as_disk_full, sync_folder
from asr_dro_plugin.errors import UserError


@contextmanager
def new_folder(out: str | os.PathLike) -> Iterator[Path]:
    """A folder on the same disk that becomes ``out`` if the block succeeds, and else is gone.

    So are the folders above it that had to be made.

    Raises:
        UserError: ``out`` is there already.
        DiskFull: no room.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already. Give another --out, or remove it.")
    above = [folder for folder in out.parents if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        umask = os.umask(0)
        os.umask(umask)
        work.chmod(0o777 & ~umask)  # mkdtemp gives 0700; others share the model
        with as_disk_full(out):
            yield work
            sync_folder(work)
            os.rename(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        for folder in above:
            with suppress(OSError):  # not empty, as it should be
                folder.rmdir()
