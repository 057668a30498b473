"""The tiny trained experiment of tests/espnet and stage 1, for what once went wrong with one."""

from tests.espnet.conftest import dump, task, trained  # noqa: F401  the fixtures
from tests.local.conftest import prepare  # noqa: F401
