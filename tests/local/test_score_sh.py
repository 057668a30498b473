"""local/score.sh scores sets, collects RESULTS.md, prints the last set's table last."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, to_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path):
    """A recipe folder with the real scripts and one decoded experiment."""
    (tmp_path / "utils").symlink_to(ROOT / "tools" / "utils")
    (tmp_path / "local").symlink_to(ROOT / "local")
    write(tmp_path / "path.sh", f"export PATH={Path(sys.executable).parent}:${{PATH}}",
          f"export PYTHONPATH={ROOT}")  # fmt: skip
    for set_name in ("dev_x", "test_x"):
        write(tmp_path / f"dump/raw/{set_name}/text", "u1 [eng] abcd", "u2 [rus] где")
        write(tmp_path / f"dump/raw/{set_name}/utt2lang", "u1 eng", "u2 rus")
        write(tmp_path / f"exp/asr_a/greedy/{set_name}/text", "u1 [eng] abd", "u2 [eng] где")
    write(tmp_path / "exp/asr_a/greedy/test_x/forced_too/text", "u1 [eng] abd", "u2 [rus] где")
    write(tmp_path / "exp/asr_a/config.yaml", "token_list: [a, b, d, г, д, е]")
    return tmp_path


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def score_sh(recipe, *arguments):
    given = ["--exp", "exp/asr_a", "--inference_tag", "greedy", "--sets", "dev_x test_x"]
    command = ["local/score.sh", *given, *arguments]
    return subprocess.run(
        command, cwd=recipe, capture_output=True, text=True, env=dict(os.environ), check=False
    )


def test_every_set_is_scored_and_the_last_tables_come_last(recipe):
    done = score_sh(recipe, "--asr_config", "conf/train_asr_ctc_mini.yaml", "--model_file", "m.pth")
    assert done.returncode == 0, done.stderr
    for set_name in ("dev_x", "test_x"):
        folder = recipe / f"exp/asr_a/greedy/{set_name}"
        assert (folder / "score.json").exists()
        assert (folder / "utts.tsv").read_text().count("\n") == 3
    assert done.stdout.index("Set dev_x") < done.stdout.index("Set test_x")
    assert done.stdout.endswith((recipe / "exp/asr_a/greedy/test_x/score.txt").read_text())
    results = (recipe / "exp/asr_a/RESULTS.md").read_text()
    assert "- model file: `m.pth`" in results
    assert results.index("### test_x") < results.index("### dev_x")
    causes = json.loads((recipe / "exp/asr_a/greedy/test_x/score.json").read_text())["causes"]
    assert causes["unseen"] == {"eng": {"c": 1}} and causes["macro"]["lid"] == 0.0


def test_running_it_again_changes_no_byte(recipe):
    score_sh(recipe)
    first = (recipe / "exp/asr_a/RESULTS.md").read_bytes()
    assert score_sh(recipe).returncode == 0
    assert (recipe / "exp/asr_a/RESULTS.md").read_bytes() == first


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        ("dump/raw/test_x/utt2lang", "utt2lang is missing or empty. Run stages 3 and 4."),
        ("exp/asr_a/greedy/test_x/text", "greedy/test_x/text does not exist. Run stage 12."),
    ],
)
def test_what_is_absent_is_named_with_its_stage(recipe, absent, words):
    (recipe / absent).unlink()
    failed = score_sh(recipe)
    assert failed.returncode == 1
    assert words in failed.stderr


def test_a_missing_hypothesis_stops_the_recipe_unless_strict_is_false(recipe):
    write(recipe / "exp/asr_a/greedy/test_x/text", "u1 [eng] abd")
    failed = score_sh(recipe)
    assert failed.returncode == 1
    assert "lacks 1 and adds 0 utterances" in failed.stderr
    assert not (recipe / "exp/asr_a/RESULTS.md").exists()
    passed = score_sh(recipe, "--strict", "false")
    assert passed.returncode == 3
    assert "missing: 1 references without hypothesis" in passed.stdout


def test_speakers_beside_the_text_are_what_intervals_are_drawn_by(recipe):
    utts = [f"u{number}" for number in range(12)]
    for name, value in (("text", "[eng] abcd"), ("utt2lang", "eng")):
        write(recipe / f"dump/raw/test_x/{name}", *(f"{utt_id} {value}" for utt_id in utts))
    write(recipe / "dump/raw/test_x/utt2spk", *(f"u{n} s{n // 2}" for n in range(12)))
    write(
        recipe / "exp/asr_a/greedy/test_x/text",
        *(f"{utt_id} [eng] {'abcd'[: 3 - int(utt_id[1:]) % 4 // 2]}" for utt_id in utts),
    )
    assert score_sh(recipe).returncode == 0
    report = json.loads((recipe / "exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["bootstrap"]["unit"] == "speaker"
    assert report["bootstrap"]["units"] == {"eng": 6}
    assert report["groups"]["eng"]["num_speakers"] == 6
    low, high = report["groups"]["eng"]["cer"]["ci"]
    assert 0.25 <= low < 0.375 < high <= 0.5


def test_a_required_option_and_a_typo_are_named(recipe):
    assert "--exp is required" in score_sh(recipe, "--exp", "").stderr
    typo = score_sh(recipe, "--text_nrm", "none")
    assert typo.returncode == 2
    assert "--text_norm" in typo.stderr


def test_a_decoding_under_way_is_scored_so_far_and_nothing_is_written(recipe):
    folder = recipe / "exp/asr_a/greedy/test_x"
    (folder / "text").unlink()
    write(folder / "parts/hyp.1of1.jsonl.source", "{}")
    line = to_json(Transcript("u2", (Hypothesis("[rus] где", 0.0),)))
    write(folder / "parts/hyp.1of1.jsonl.partial", line)
    before = sorted(recipe.rglob("*"))
    done = score_sh(recipe, "--partial", "true")
    assert done.returncode == 0, done.stderr
    assert "Partial: 2 of 2" in done.stdout and "Partial: 1 of 2" in done.stdout
    assert sorted(recipe.rglob("*")) == before
