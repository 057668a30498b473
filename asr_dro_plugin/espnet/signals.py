"""Signals that ask a training run to save itself: what a cluster or a user sends before the end.

========  =============================================================
TERM HUP  save at the next step, then stop (exit code 75: run it again)
USR1      the same: Slurm's ``--signal=USR1@60`` before the time limit
INT       the same; a second one stops at once (exit code 130)
USR2      save at the next step and go on
========  =============================================================
"""

import contextlib
import os
import signal
import threading
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)
SAVE_SIGNALS = (signal.SIGUSR2,)


class StopRequest:
    """Remembers the signals that arrive while it is entered; the training loop asks between steps.

    Outside the main thread no handler can be set: then nothing is ever requested.
    """

    def __init__(self) -> None:
        self.stop: int | None = None
        self.save = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (*STOP_SIGNALS, *SAVE_SIGNALS):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}

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


def leave_signals_to_parent(*_worker_id: object) -> None:
    """In a worker of a data loader: do not die of a signal that the whole job was sent.

    A dead worker raises an error in the middle of a step of the main process.  Its parent's own
    TERM still ends it: that is how multiprocessing clears up.
    """
    for number in (*STOP_SIGNALS, *SAVE_SIGNALS):
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for a TERM of the parent's; only a waiting thread is told who sent it."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)
