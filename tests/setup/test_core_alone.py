"""Where ``pip install asr-dro`` brought the core alone, a command says in a line what it lacks."""

import ast
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from asr_dro_plugin.bin.main import COMMANDS
from asr_dro_plugin.errors import EXTRA_OF, how_to_install, run_main

ROOT = Path(__file__).resolve().parents[2]
TRACKERS = {"wandb", "comet_ml", "mlflow"}  # no extra's: a tracker that is missing is left out

# A process with the core alone: each list of arguments on stdin, its code and stderr on stdout.
CORE_ALONE = """
import contextlib, importlib.abc, io, json, sys
from asr_dro_plugin.errors import EXTRA_OF, run_main

class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRA_OF:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Forbid())
from asr_dro_plugin.bin.main import dispatch

for argv in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            run_main(lambda: dispatch(argv))
        except SystemExit as end:
            print(json.dumps([argv, end.code, said.getvalue()]), file=sys.__stdout__)
"""


def with_core_alone(calls: list[list[str]], cwd: Path) -> list[tuple[list[str], int, str]]:
    """Arguments, exit code and stderr of each call of ``asr-dro``."""
    done = subprocess.run(
        [sys.executable, "-c", CORE_ALONE], input=json.dumps(calls), cwd=cwd, text=True,
        capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_every_help_of_the_core_works_but_espnets(tmp_path):
    answers = with_core_alone([[name, "--help"] for name in COMMANDS], tmp_path)
    assert {argv[0] for argv, code, _ in answers if code != 0} == {"train"}
    (said,) = [said.splitlines() for argv, _, said in answers if argv[0] == "train"]
    assert said[-1] == f"ERROR: This needs espnet2, which is not here: {how_to_install('train')}"


def test_work_that_needs_an_extra_ends_in_one_line_that_names_it(tmp_path):
    exp = tmp_path / "exp/asr_x"
    exp.mkdir(parents=True)
    (exp / "config.yaml").write_text("encoder: conv_ctc\ntoken_list: [<blank>, a]\n")
    (exp / "tokens.txt").write_text("<blank>\n<unk>\na\n<sos/eos>\n")
    for name in ("valid.loss.best.pth", "a.wav", "a.txt", "a.nemo", "a.pt"):
        (exp / name).write_text("no model")
    (exp / "wav.scp").write_text("a a.wav\n")
    (exp / "utt2num_samples").write_text("a 16000\n")
    x = str(exp)
    calls = [
        ["transcribe", f"{x}/a.wav", "--exp", x],
        ["align", f"{x}/a.wav", f"{x}/a.txt", "--exp", x],
        ["decode", "--exp", x, "--config", f"{ROOT}/conf/decode_asr_greedy.yaml",
         "--data_dir", x, "--out_dir", "out"],
        ["segment", f"{x}/a.wav", "--out", "cut"],
        ["pack", x, "--out", "m.zip", "--model_file", "valid.loss.best.pth"],
        ["export", x, "--to", "hf", "--out", "hf", "--model_file", "valid.loss.best.pth"],
        ["import", "--from", "fairseq", f"{x}/a.pt", "--out", "imported"],
        ["convert-checkpoint", f"{x}/a.pt", "out.pt"],
        ["train", "--config", f"{ROOT}/conf/train_asr_ctc_mini.yaml"],
    ]  # fmt: skip
    answers = with_core_alone(calls, tmp_path)
    assert len(answers) == len(calls)
    for argv, code, said in answers:
        lines = [line for line in said.splitlines() if not line.startswith("Loading ")]
        assert (code, len(lines)) == (1, 1), (argv, said)
        assert re.match(r"ERROR: .*(--extras|asr-dro\[)", lines[0]), (argv, said)


def test_pip_is_told_to_those_who_have_no_checkouts_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert how_to_install("train") == 'pip install "asr-dro[train]"'
    monkeypatch.setattr(sys, "prefix", str(ROOT / "tools/venv"))
    assert how_to_install("lm") == f"{ROOT / 'tools/install.sh'} --extras lm"


def test_a_module_that_no_extra_brings_is_a_fault_of_ours():
    def main():
        raise ModuleNotFoundError("No module named 'asr_dro_plugin.gone'", name="asr_dro_plugin")

    with pytest.raises(ModuleNotFoundError):
        run_main(main)


def test_every_import_is_pythons_the_cores_or_an_extras(setup_arguments):
    names = metadata.packages_distributions()
    wanted = {re.split("[=\\[]", pin)[0].lower() for pin in setup_arguments["install_requires"]}
    core = {name for name, found in names.items() if wanted & {one.lower() for one in found}}
    strange = set()
    for path in (ROOT / "asr_dro_plugin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            strange |= {module.partition(".")[0] for module in modules}
    known = {*sys.stdlib_module_names, *core, *EXTRA_OF, *TRACKERS, "asr_dro_plugin"}
    assert strange <= known, strange - known
    assert set(EXTRA_OF.values()) <= set(setup_arguments["extras_require"])
