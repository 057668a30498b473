"""A tool that is typed where no environment is active goes on in tools/venv."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAIN = os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@pytest.mark.skipif(Path(sys.prefix) != ROOT / "tools/venv", reason="tools/venv is not used here")
@pytest.mark.parametrize("tool", ["check_install.py", "make_tiny_ssl.py", "make_tiny_whisper.py"])
def test_a_tool_finds_the_environment_by_itself(tool):
    """What needs it is imported by its last line alone, so that asking for help is enough."""
    code = (
        "import os, runpy, sys; os.execv = lambda program, argv: sys.exit(f'{program} {argv[1:]}')"
        f"; sys.argv[:] = [{tool!r}, '--help']; sys.path.insert(0, {str(ROOT / 'tools')!r})"
        f"; runpy.run_path({str(ROOT / 'tools' / tool)!r}, run_name='__main__')"
    )
    done = subprocess.run([PLAIN, "-I", "-c", code], capture_output=True, text=True, timeout=240)
    assert done.stderr == f"{ROOT}/tools/venv/bin/python {[str(ROOT / 'tools' / tool), '--help']}\n"


def test_where_there_is_none_one_line_says_how_to_make_it(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("check_install.py", "venv_state.py", "constraints.txt"):
        (tools / name).write_bytes((ROOT / "tools" / name).read_bytes())
    command = [PLAIN, str(tools / "check_install.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"ERROR: {tools}/venv is not there. Run {tools}/install.sh\n"
