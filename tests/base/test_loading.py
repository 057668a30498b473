"""Imports are quick, and leave Python as it was."""

import gc
import subprocess
import sys

import pytest

from asr_dro_plugin.base.loading import quick_imports

# A module with a checked function, imported on both ways in a process of its own.
PROGRAM = """
import sys, typeguard
from asr_dro_plugin.base.loading import quick_imports
sys.path.insert(0, sys.argv[1])
with quick_imports():
    import one
import two
print(one.double("a"))
try:
    two.double("a")
except typeguard.TypeCheckError:
    print("checked")
"""
MODULE = """
from typeguard import typechecked

@typechecked
def double(number: int):
    return 2 * number
"""


def test_a_function_is_not_compiled_anew_within_and_is_after_it(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(MODULE)
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["aa", "checked"]


def test_garbage_is_sought_again_afterwards_whatever_happens(tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("raise ImportError('of the test')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="of the test"), quick_imports():
        assert not gc.isenabled()
        import broken_module  # noqa: F401
    assert gc.isenabled()


def test_who_had_switched_it_off_finds_it_off(monkeypatch):
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
