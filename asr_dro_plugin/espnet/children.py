"""One process a GPU, spawned by ESPnet: signals go down to them, their exit codes come up."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator

from torch.multiprocessing.spawn import ProcessExitedException

from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.espnet.signals import SAVE_SIGNALS, STOP_SIGNALS


@contextlib.contextmanager
def parent_of_children() -> Iterator[None]:
    """Pass signals on to the children instead of dying before them; end as they did.

    Raises:
        UserError: a child ended with an error, which it has said itself; with its exit code.
    """
    before = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, *SAVE_SIGNALS)}
    for number in before:
        signal.signal(number, _pass_on)
    try:
        yield
    except ProcessExitedException as ended:
        error = UserError("A process of this training ended; its own message says why.")
        error.exit_code = ended.exit_code if ended.exit_code > 0 else 1
        raise error from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _pass_on(number: int, _frame: object) -> None:
    for child in multiprocessing.active_children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)


def is_child() -> bool:
    """Whether this process was spawned by another one's training."""
    return multiprocessing.parent_process() is not None


def as_child(work: Callable[[], None]) -> None:
    """Do the work of a spawned process: its errors are a line and an exit code, no traceback."""
    run_main(work)
