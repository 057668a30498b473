"""What the processes of ``pytest -n`` share out among them."""

import re
from pathlib import Path

from tests.conftest import LONGEST, TRAINED

TESTS = Path(__file__).resolve().parent
USES_IT = re.compile(r"^def test_\w+\((?:[^)]*, )?recipe\b", re.MULTILINE)


def test_the_files_that_use_the_trained_recipe_are_run_by_one_process():
    users = {
        path.stem.removeprefix("test_")
        for path in (TESTS / "recipe").glob("test_*.py")
        if USES_IT.search(path.read_text(encoding="utf-8"))
    }
    assert users == set(TRAINED)


def test_the_longest_are_there():
    assert [name for name in LONGEST if not (TESTS.parent / name).exists()] == []
