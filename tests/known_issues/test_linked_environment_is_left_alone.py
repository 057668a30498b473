"""tools/venv may be a link into another checkout: it was taken from that one and rebuilt for this.

`pip install -e` and `find -delete` went through the link, so that a test run in a second work tree
changed the first one's environment.
"""

import shutil

import pytest

from tests.setup.conftest import (  # noqa: F401  the fixtures
    bare_path,
    checkout,
    environment,
    python_program,
)
from tests.setup.test_install_is_safe import asked, finish, start  # noqa: F401


@pytest.fixture
def linked(start, checkout, tmp_path):  # noqa: F811
    """This checkout with the finished environment of another one as its tools/venv."""
    finish(start())
    owner = tmp_path / "the owner"
    owner.mkdir()
    shutil.copytree(checkout / "tools/venv", owner / "venv", symlinks=True)
    for path in owner.rglob("*"):  # as if it had been made there
        if path.is_file() and path.name in (".asr_dro_installed.json", "direct_url.json"):
            path.write_text(path.read_text().replace(str(checkout / "tools"), str(owner)))
    shutil.rmtree(checkout / "tools/venv")
    (checkout / "asked").unlink()
    (checkout / "tools/venv").symlink_to(owner / "venv")
    return owner / "venv"


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path: path.stat().st_mtime_ns for path in files}


def test_a_linked_environment_that_fits_is_used_as_it_is(linked, start, checkout):  # noqa: F811
    before = contents(linked)
    assert finish(start())[-1] == f"install.sh: ready: {linked}"
    assert contents(linked) == before and asked(checkout) == []


def test_one_that_does_not_fit_is_refused_with_both_remedies(linked, start, checkout):  # noqa: F811
    before = contents(linked)
    (checkout / "setup.py").write_text((checkout / "setup.py").read_text() + "# newer\n")
    process = start()
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 1 and "remove the link" in out and len(out.splitlines()) == 1
    assert contents(linked) == before and asked(checkout) == []
