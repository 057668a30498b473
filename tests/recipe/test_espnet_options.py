"""Every option of ESPnet's asr.sh is taken, or refused with what does it here; the docs say so."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs2" / "asr_dro" / "asr1"
TABLE = ROOT / "tools" / "utils" / "espnet_options.tsv"
ROWS = dict(line.split("\t") for line in TABLE.read_text().splitlines())
TAKEN = {name for name, words in ROWS.items() if words.startswith("Taken")}
DAILY = {
    "expdir", "dumpdir", "inference_nj", "gpu_inference", "skip_train", "skip_eval",
    "inference_args", "bpe_train_text", "audio_format", "stage", "stop_stage", "ngpu", "nj",
    "asr_config", "asr_args", "inference_config", "train_set", "valid_set", "test_sets",
}  # fmt: skip
ASR_DRO = {"--exp", "--to"}  # options of commands that the table names


def own_options() -> set[str]:
    done = subprocess.run(["./asr.sh", "--help"], cwd=RECIPE, capture_output=True, text=True)
    return set(re.findall(r"^  --(\w+) ", done.stdout, re.MULTILINE))


def test_what_is_said_to_be_taken_is_taken_and_nothing_else():
    options = own_options()
    assert DAILY <= TAKEN <= options
    assert not options & (set(ROWS) - TAKEN)


def test_an_answer_names_options_that_are_there():
    inside = re.compile(r'"[^"]*"')  # of --asr_args and --inference_args: ESPnet's
    named = set(re.findall(r"--\w+", inside.sub("", " ".join(ROWS.values()))))
    known = {f"--{name}" for name in own_options()} | ASR_DRO | {"--help"}
    assert named <= known


@pytest.mark.parametrize("name", sorted(set(ROWS) - TAKEN))
def test_another_one_is_refused_with_what_does_it_here(name):
    done = subprocess.run(
        ["./run.sh", f"--{name}", "x"], cwd=RECIPE, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"ERROR: asr.sh: there is no option --{name}. {ROWS[name]}\n"


def test_the_docs_have_the_table():
    text = (ROOT / "docs" / "espnet_options.md").read_text()
    told = re.findall(r"^\| `--(\w+)` \| (.*) \|$", text, re.MULTILINE)
    assert {name: words.replace("&lt;", "<") for name, words in told} == ROWS
