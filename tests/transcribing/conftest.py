"""The tiny trained experiment of tests/espnet, as a recogniser."""

from tests.espnet.conftest import dump, task, trained  # noqa: F401  the fixtures
