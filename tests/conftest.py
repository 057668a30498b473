"""One thread a process, for every test and every process a test starts.

The suite's models are tiny: more threads only get into each other's way.
"""

import os
import sys

import pytest

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(autouse=True)
def _one_torch_thread():
    """Torch keeps to one thread too, where a test has imported it (it is never imported here)."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
