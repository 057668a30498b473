"""The real Whisper base for any test: ``pytest_plugins = ["tests.fixtures_whisper_base"]``."""

from pathlib import Path

import pytest

from tests.shared_files import Broken, NotHere, whisper_base


@pytest.fixture(scope="session")
def real_whisper() -> Path:
    """OpenAI's Whisper base as a Hugging Face folder; skips with the reason where it is not to be
    had, fails with one line where what was fetched has another sum."""
    try:
        return whisper_base()
    except NotHere as reason:
        pytest.skip(str(reason))
    except Broken as fault:
        pytest.fail(str(fault), pytrace=False)
