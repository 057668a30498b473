"""The tiny trained experiment of tests/espnet, for what once went wrong with one."""

from tests.espnet.conftest import dump, task, trained  # noqa: F401  the fixtures
