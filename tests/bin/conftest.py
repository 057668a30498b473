"""The tiny trained experiment of tests/espnet, for commands that need a model."""

from tests.espnet.conftest import dump, task, trained  # noqa: F401  the fixtures
