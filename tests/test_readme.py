"""What the README says can be run, runs."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from asr_dro_plugin.objectives import build_objective
from asr_dro_plugin.stack.espnet_options import TRAIN

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    *("decode", "transcribe", "score", "report", "align", "segment", "pack", "unpack"),
    *("import_model", "export_model", "info", "vocab", "preflight", "onebatchtest"),
]
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
    known = set(re.findall(r"^([a-z_0-9]+)=", script, re.MULTILINE)) | {"help"}
    for corpus in (ROOT / "local").glob("data_*.py"):  # --local_data_opts
        known |= set(re.findall(r'"--([a-z_0-9]+)"', corpus.read_text()))
    for command in COMMANDS:
        module = importlib.import_module(f"asr_dro_plugin.bin.{command}")
        known |= {flag.lstrip("-") for flag in module.get_parser()._option_string_actions}
    known |= set(TRAIN)  # what --asr_args hands on to training
    named = set(re.findall(r"--([a-z_0-9]+)\b", README))
    assert named <= known, named - known


def test_the_python_of_the_readme_runs():
    assert blocks("python")
    for block in blocks("python"):
        scope: dict = {}
        exec(compile(block, "README.md", "exec"), scope)
        assert scope["objective"].group_weights.sum() == pytest.approx(1)
        assert scope["objective"].group_weights.std() > 0


def test_the_table_of_the_readme_holds_the_defaults_of_the_code():
    objective = build_objective("ctc_dro", 10)
    assert objective.smoothing == pytest.approx(0.6 / 10) and objective.step_size_rel == 0.5
    assert (objective.agg, objective.signal, objective.acts_on) == ("sum", "sum", "loss")
    assert (objective.reduction, objective.length_norm) == ("utterance", "none")
    assert (objective.update, objective.round_limit) == ("round", 200)
    assert (objective.cap, objective.floor) == (1.0, pytest.approx(0.001))
    for row in ("0.6 | alpha", "0.5 | eta", "sum, sum |", "utterance, none |", "round, 20 G |"):
        assert row in README
    assert "1.0, 0.01 / G |" in README and "`acts_on` | loss |" in README


def test_the_readme_shows_real_output_and_no_placeholder():
    assert "@@" not in README
    assert "macro  " in README and "worst: " in README


def test_every_file_that_the_readme_names_exists():
    paths = re.findall(r"`((?:conf|local|tools|egs2|asr_dro_plugin|tests)/[\w./]*)`", README)
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists() and path != "tools/venv"]
