"""One thread a process, and an interruptible one, for every test and every process a test starts.

The suite's models are tiny: more threads only get into each other's way.  Of the processes of
``pytest -n`` each takes whole files, the longest first, and the recipe that is trained once is used
by one of them.
"""

import os
import signal
import sys
import threading

import pytest
from hypothesis import HealthCheck, settings

from asr_dro_plugin.base.loading import quick_imports

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A busy machine is slow and no more.  --hypothesis-profile=default draws twice as many examples.
_busy = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", max_examples=50, **_busy)
settings.load_profile("suite")

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


# Files that share what is made once: the recipe that has been run to the table; a real Slurm, for
# which the files of two processes would wait for each other.
TRAINED = ("marks", "onebatchtest", "options", "recipe", "stop")
TOGETHER = {f"tests/recipe/test_{name}.py": "the trained recipe" for name in TRAINED}
TOGETHER |= {f"tests/{room}/test_slurm.py": "Slurm" for room in ("recipe", "shell")}
# What takes a minute and more: begun last, one of them would keep one process waiting for another.
LONGEST = (
    "tests/recipe/test_marks.py", "tests/recipe/test_variants.py", "tests/recipe/",
    "tests/local/test_data_debian.py", "tests/espnet/parts/test_real_whisper.py",
    "tests/espnet/process/", "tests/espnet/run/test_survival.py", "tests/conf/",
    "tests/espnet/run/test_training_run.py", "tests/espnet/start/", "tests/espnet/onebatch/",
    "tests/shell/test_slurm.py", "tests/setup/",
)  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Hundreds of files that import PyTorch and ESPnet, as our commands do."""
    with quick_imports():
        return (yield)


def pytest_collection_modifyitems(items):
    """The longest files first."""

    def place(item: pytest.Item) -> int:
        found = (n for n, start in enumerate(LONGEST) if item.nodeid.startswith(start))
        return next(found, len(LONGEST))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """``--dist loadfile``, but some files together, and in the order of the collection."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    config.option.loadscopereorder = False  # by the number of tests: those that take minutes last
    return Scheduling(config, log)
