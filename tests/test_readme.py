"""What the README says can be run, runs."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(tag: str) -> list[str]:
    """Fenced shell blocks with an info string."""
    return re.findall(rf"^```{tag}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Lines of the blocks tagged ``run``, without their comments."""
    lines = "".join(blocks("bash run")).splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip()]


def test_there_are_commands_to_run():
    assert len(commands()) >= 4


@pytest.mark.parametrize("command", commands())
def test_a_command_tagged_run_exits_0(command):
    done = subprocess.run(
        ["bash", "-c", f". egs2/asr_dro/asr1/path.sh && {command}"], cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def test_every_option_of_the_recipe_that_the_readme_names_exists():
    script = (ROOT / "egs2/asr_dro/asr1/asr.sh").read_text()
    data = (ROOT / "local/data.sh").read_text()
    known = set(re.findall(r"^([a-z_0-9]+)=", script + data, re.MULTILINE)) | {"help"}
    for command in ("transcribe", "score"):
        module = importlib.import_module(f"asr_dro_plugin.bin.{command}")
        known |= {flag.lstrip("-") for flag in module.get_parser()._option_string_actions}
    named = set(re.findall(r"--([a-z_0-9]+)\b", README))
    assert named <= known, named - known


def test_the_readme_shows_real_output_and_no_placeholder():
    assert "@@" not in README
    assert "macro  " in README and "worst: " in README


def test_every_file_that_the_readme_names_exists():
    paths = re.findall(r"`((?:conf|local|tools|egs2|asr_dro_plugin|tests)/[\w./]*)`", README)
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists() and path != "tools/venv"]
