"""One process a GPU, spawned by ESPnet: signals go down to them, their exit codes come up."""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator

from torch.multiprocessing.spawn import ProcessExitedException

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.signals import handled_by


@contextlib.contextmanager
def parent_of_children() -> Iterator[None]:
    """Pass signals on to the children instead of dying before them; end as they did.

    Raises:
        UserError: a child ended with an error, which it has said itself; with its exit code.
    """
    try:
        with handled_by(_pass_on):
            yield
    except ProcessExitedException as ended:
        error = UserError("A process of this training ended; its own message says why.")
        error.exit_code = ended.exit_code if ended.exit_code > 0 else 1
        raise error from None


def _pass_on(number: int, _frame: object) -> None:
    for child in multiprocessing.active_children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)


def is_child() -> bool:
    """Whether this process was spawned by another one's training."""
    return multiprocessing.parent_process() is not None
