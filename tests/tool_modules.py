"""Programs of ``tools`` and ``local`` as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def load_tool(name: str) -> ModuleType:
    """``tools/NAME.py``, imported."""
    return _load(name, "tools")


def load_local(name: str) -> ModuleType:
    """``local/NAME.py``, imported."""
    return _load(name, "local")


def _load(name: str, folder: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
