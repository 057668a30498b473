"""The real tools, where they are installed."""

from pathlib import Path

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary.convert import tool_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def recipe(monkeypatch):
    """The folder whose ``local/`` the tables are read from."""
    monkeypatch.chdir(ROOT)


def there(kind: str) -> str:
    """The tool of a kind; skips where it is not installed."""
    try:
        return tool_of(kind)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def espeak():
    """espeak-ng of this machine."""
    there("phonemes")
    from asr_dro_plugin.text.auxiliary.espeak import espeak

    return espeak()


@pytest.fixture(scope="session")
def uroman() -> str:
    """Name and version."""
    return there("romanised")
