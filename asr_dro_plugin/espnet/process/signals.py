"""Signals that ask a training run to save itself: what a cluster or a user sends before the end.

========  =============================================================
TERM HUP  save at the next step, then stop (exit code 75: run it again)
USR1      the same: Slurm's ``--signal=USR1@60`` before the time limit
INT       the same; a second one stops at once (exit code 130)
USR2      save at the next step and go on
========  =============================================================
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from torch.multiprocessing.spawn import ProcessExitedException

from asr_dro_plugin.errors import UserError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)
SAVE_SIGNALS = (signal.SIGUSR2,)


@contextlib.contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Send these signals to ``handler`` within the block, and to whom they went after it.

    Outside the main thread no handler can be set: then they go where they went.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (*STOP_SIGNALS, *SAVE_SIGNALS)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            # None is a handler that Python did not install and cannot name.
            signal.signal(number, earlier if earlier is not None else signal.SIG_DFL)


class StopRequest:
    """Remembers the signals that arrive while it is entered; the training loop asks between steps.

    Outside the main thread nothing is ever requested.
    """

    def __init__(self) -> None:
        self.stop: int | None = None
        self.save = False
        self._handling = handled_by(self._on_signal)

    def __enter__(self) -> "StopRequest":
        self._handling.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._handling.__exit__(*exception)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in SAVE_SIGNALS:
            self.save = True
            return
        if number == signal.SIGINT and self.stop is not None:
            raise KeyboardInterrupt
        self.stop = number
        name = signal.Signals(number).name
        # logging and print may be in the middle of a line of their own: a handler must not enter.
        with contextlib.suppress(OSError):
            os.write(2, f"{name}: saving at the next step, then stopping.\n".encode())


def start_workers[T](loader: Iterable[T]) -> Iterator[T]:
    """``iter(loader)`` with the job's signals held back while its workers are forked.

    A worker that a signal met before it could do as ``leave_signals_to_parent`` says would die of
    it, or take it for its parent, and the parent's step with it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, *SAVE_SIGNALS))
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent(*_worker_id: object) -> None:
    """In a worker of a data loader: do not die of a signal that the whole job was sent.

    A dead worker raises an error in the middle of a step of the main process.  Its parent's own
    TERM still ends it: that is how multiprocessing clears up.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    others = {*STOP_SIGNALS, *SAVE_SIGNALS} - {signal.SIGTERM}
    for number in others:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, others)  # start_workers held them back
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for a TERM of the parent's; only a waiting thread is told who sent it."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


@contextlib.contextmanager
def parent_of_children() -> Iterator[None]:
    """Pass signals on to the processes that ESPnet spawns, one a GPU; end as they did.

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
