"""A tiny wav2vec 2.0 on disk for any test: ``pytest_plugins = ["tests.fixtures_ssl"]`` or by name.

``tiny_ssl`` is XLS-R's layout with random weights, written once a session; ``make_tiny_ssl(...)``
writes others.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tool_modules import load_tool

TOOL = Path(__file__).resolve().parents[1] / "tools" / "make_tiny_ssl.py"


@dataclass(frozen=True)
class TinySSL:
    """The three files of one model."""

    folder: Path

    @property
    def hf(self) -> Path:
        return self.folder / "hf"

    @property
    def s3prl(self) -> Path:
        return self.folder / "s3prl.pt"

    @property
    def fairseq(self) -> Path:
        return self.folder / "fairseq.pt"


@pytest.fixture(scope="session")
def make_tiny_ssl(tmp_path_factory):
    """Function of the tool's options (``variant="base", layerdrop=0.5``) that writes a model."""

    def make(**options) -> TinySSL:
        folder = tmp_path_factory.mktemp("ssl")
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        assert load_tool("make_tiny_ssl").main([str(folder), *words]) == 0
        return TinySSL(folder)

    return make


@pytest.fixture(scope="session")
def tiny_ssl(make_tiny_ssl) -> TinySSL:
    """XLS-R's layout, 2 layers, 16 wide."""
    return make_tiny_ssl()
