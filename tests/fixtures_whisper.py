"""A tiny Whisper on disk for any test: ``pytest_plugins = ["tests.fixtures_whisper"]``.

``tiny_whisper`` is a Hugging Face folder with random weights and a tokenizer, written once a
session; ``make_tiny_whisper(...)`` writes others.
"""

from pathlib import Path

import pytest

from tests.tool_modules import load_tool


@pytest.fixture(scope="session")
def make_tiny_whisper(tmp_path_factory):
    """Function of the tool's options (``hidden=8, seconds=4``) that writes a model's folder."""

    def make(**options) -> Path:
        folder = tmp_path_factory.mktemp("whisper")
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        assert load_tool("make_tiny_whisper").main([str(folder), *words]) == 0
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_whisper(make_tiny_whisper) -> Path:
    """2 layers, 16 wide, for 2 seconds of speech and 40 tokens."""
    return make_tiny_whisper(hidden=16, seconds=2, max_tokens=40)
