"""What the documents show can be run, runs."""

import subprocess

import numpy as np
import pytest
import soundfile

from tests.docs.pages import RECIPE, ROOT, blocks, folder_of, lines_of, shown_files


@pytest.mark.parametrize(("page", "command"), lines_of("bash run"))
def test_a_command_tagged_run_exits_0(page, command):
    done = subprocess.run(
        ["bash", "-c", f". {RECIPE / 'path.sh'} && {command}"], cwd=folder_of(page), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{page}: {done.stdout[-3000:]}"


@pytest.mark.parametrize(("page", "block"), blocks("python"))
def test_a_block_of_python_runs(page, block):
    if block.startswith("# asr_dro_plugin/"):
        pytest.skip("a file of docs/extend.md, which tests/test_extend.py puts into its place")
    exec(compile(block, page, "exec"), {})


def test_the_table_of_ten_lines_becomes_the_set_that_is_shown(tmp_path):
    """docs/data.md: the table, through stage 1's script, and the text that is shown of it."""
    shown = shown_files("docs/data.md")
    table = tmp_path / "my/utts.tsv"
    (table.parent / "audio").mkdir(parents=True)
    table.write_text(shown["my/utts.tsv"], encoding="utf-8")
    rows = [line.split("\t") for line in shown["my/utts.tsv"].splitlines()]
    assert len(rows) == 11
    for number, row in enumerate(rows[1:], 1):  # no recording is another's copy
        sound = np.full(16000, number / 100, "float32")
        soundfile.write(table.parent / row[2], sound, 16000)
    done = subprocess.run(
        ["bash", "-c", f". ./path.sh && local/data.sh --corpus tsv --source '{table}' "
         f"--out_dir '{tmp_path / 'data'}'"], cwd=ROOT / "egs2/asr_dro/asr1",
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "data/train_tsv/text").read_text(encoding="utf-8")
    assert text == shown["train_tsv/text"]
