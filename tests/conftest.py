"""One thread a process, and an interruptible one, for every test and every process a test starts.

The suite's models are tiny: more threads only get into each other's way.
"""

import os
import signal
import sys
import threading

import pytest

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Started in the background (a CI runner, nohup, `make test &`) the suite inherits an ignored
# SIGINT, SIGHUP or both, and so would every process that a test starts and then interrupts.  A
# handler is not inherited; only the main thread may set one.
_is_main_thread = threading.current_thread() is threading.main_thread()
if _is_main_thread and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if _is_main_thread and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_ignored: None)


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Torch keeps to one thread too, where a test has imported it (it is never imported here)."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
