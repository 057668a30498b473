"""The real checkpoint of the tests is made once, whole or not at all, and faults are one line."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import shared_files
from tests.shared_files import Broken, NotHere, whisper_base

MAKES = """
import pathlib, sys
out = pathlib.Path(sys.argv[1])
out.mkdir()
(out / "model").write_text("whole")
with open({log!r}, "a") as stream:
    stream.write("made\\n")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Function that sets the script's lines."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shared_files, "SCRIPT", tmp_path / "script.py")
    return (tmp_path / "script.py").write_text


def test_it_is_made_once_for_all_who_ask(script, tmp_path):
    script(MAKES.format(log=str(tmp_path / "log")))
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: whisper_base(), range(3)))
    assert len(set(folders)) == 1 and (folders[0] / "model").read_text() == "whole"
    assert (tmp_path / "log").read_text() == "made\n"


def test_a_sum_that_differs_is_a_fault_and_an_absent_registry_a_reason(script, tmp_path):
    script("raise SystemExit('x.whl: sha256 1, not 2. Remove it and try again.')")
    with pytest.raises(Broken, match=r"^Whisper base: x.whl: sha256 1, not 2\.[^\n]*$"):
        whisper_base()
    script("import sys; sys.exit('ERROR: No matching distribution found\\nTraceback: last line')")
    with pytest.raises(NotHere, match=r"^Whisper base cannot be had: ERROR: No match[^\n]*$"):
        whisper_base()
    assert [path.suffix for path in (tmp_path / "cache" / "asr-dro-tests").iterdir()] == [
        ".lock", ".lock",
    ]  # fmt: skip
    (tmp_path / "script.py").unlink()
    with pytest.raises(NotHere, match="set ASR_DRO_SHARED"):
        whisper_base()
