"""`score` prints and writes the score of a set, collects an experiment, and exits as it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin.score import main
from asr_dro_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe folder with one decoded experiment over a development and a test set."""
    monkeypatch.chdir(tmp_path)
    for set_name, hyp in (("dev_x", "[eng] ab"), ("test_x", "[eng] abd")):
        write(f"dump/raw/{set_name}/text", "u1 [eng] abcd", "u2 [rus] где")
        write(f"dump/raw/{set_name}/utt2lang", "u1 eng", "u2 rus")
        write(f"dump/raw/{set_name}/utt2num_samples", "u1 960000", "u2 960000")
        write(f"exp/asr_a/greedy/{set_name}/text", f"u1 {hyp}", "u2 [eng] где")
    return tmp_path


def write(path, *lines):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def options(set_name="test_x", exp="exp/asr_a/greedy"):
    hyp = f"{exp}/{set_name}"
    return ["--ref", f"dump/raw/{set_name}/text", "--hyp", f"{hyp}/text",
            "--json", f"{hyp}/score.json"]  # fmt: skip


def test_it_prints_the_table_and_writes_the_score(recipe, capsys):
    assert main([*options(), "--model_file", "exp/asr_a/valid.ave.pth"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Set test_x,")
    assert "worst: eng" in printed
    report = json.loads((recipe / "exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["total"]["cer"]["errors"] == 1
    assert report["total"]["duration"] == 120.0
    assert report["total"]["lid"]["rate"] == 0.5
    assert report["run"] == {"model_file": "exp/asr_a/valid.ave.pth"}


def test_the_target_of_a_linked_model_is_named(recipe):
    Path("exp/asr_a/best.pth").symlink_to("3epoch.pth")
    main([*options(), "--model_file", "exp/asr_a/best.pth"])
    report = json.loads(Path("exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["run"]["model_file"] == "exp/asr_a/best.pth -> 3epoch.pth"


def test_given_files_and_name_go_before_those_beside_the_reference(recipe, capsys):
    write("langs", "u1 spa", "u2 rus")
    write("text", "u1 abcd", "u2 где")
    write("dur", "u1 30", "u2 30")
    main(["--ref", "text", "--hyp", "text", "--utt2lang", "langs", "--utt2dur", "dur",
          "--name", "mine", "--normalizer", "none"])  # fmt: skip
    printed = capsys.readouterr().out
    assert "Set mine, text normalised by 'none'" in printed
    assert "spa" in printed
    assert "1.0" in printed.splitlines()[-4]


def test_strict_fails_after_the_score_is_written(recipe):
    write("exp/asr_a/greedy/test_x/text", "u1 [eng] abcd", "u3 [eng] ab")
    assert main(options()) == 0
    Path("exp/asr_a/greedy/test_x/score.json").unlink()
    with pytest.raises(UserError, match="lacks 1 and adds 1"):
        main([*options(), "--strict", "true"])
    assert Path("exp/asr_a/greedy/test_x/score.json").exists()


def test_an_empty_hypothesis_file_is_all_deletions(recipe):
    write("exp/asr_a/greedy/test_x/text")
    assert main(options()) == 0
    report = json.loads(Path("exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["total"]["cer"]["rate"] == 1.0
    assert report["missing"]["count"] == 2


@pytest.mark.parametrize(
    ("path", "lines", "words"),
    [
        ("dump/raw/test_x/text", ["u1 a", "u1 b"], "text:2 gives 'u1' a second time"),
        ("exp/asr_a/greedy/test_x/text", ["u1 a", "u1 b"], "text:2 gives 'u1' a second time"),
        ("dump/raw/test_x/utt2lang", ["u1 eng"], "utt2lang lacks 1 of 2"),
        ("dump/raw/test_x/utt2lang", ["u1 eng", "u2"], "utt2lang:2 has no value"),
        ("dump/raw/test_x/utt2num_samples", ["u1 1", "u2 x"], "utt2num_samples holds something"),
        ("dump/raw/test_x/text", [], "no utterance"),
    ],
)
def test_damage_is_one_line_that_names_the_file(recipe, path, lines, words):
    write(path, *lines)
    with pytest.raises(UserError, match=words):
        main(options())


def test_results_collects_what_was_scored(recipe, capsys):
    for set_name in ("dev_x", "test_x"):
        main(options(set_name))
    assert main(["--results", "exp/asr_a"]) == 0
    text = Path("exp/asr_a/RESULTS.md").read_text()
    assert text.index("### test_x, decoded by greedy") < text.index("### dev_x")


def test_spread_compares_experiments_and_asks_which_decoding(recipe, capsys):
    main(options())
    Path("exp/asr_b").symlink_to("asr_a")
    capsys.readouterr()
    assert main(["--spread", "exp/asr_a", "exp/asr_b", "--set", "test_x"]) == 0
    assert "mean over 2 experiments" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no score of dev_x \(there are: greedy/test_x\)"):
        main(["--spread", "exp/asr_a", "--set", "dev_x"])
    with pytest.raises(UserError, match="needs the set's name"):
        main(["--spread", "exp/asr_a"])
    write("exp/asr_a/beam/test_x/text", "u1 [eng] abcd", "u2 [rus] где")
    main(options(exp="exp/asr_a/beam"))
    with pytest.raises(UserError, match="several scores"):
        main(["--spread", "exp/asr_a", "--set", "test_x"])
    assert main(["--spread", "exp/asr_a", "--set", "test_x", "--inference_tag", "beam"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rfe", "x"], "unknown option --rfe. Did you mean '--ref'?"),
        ([], "give --ref and --hyp"),
        (["--ref", "x"], "give --ref and --hyp"),
        (["--ref", "x", "--results", "y"], "not allowed with"),
        (["--ref", "x", "--hyp", "y", "--strict", "yes"], "neither true nor false"),
    ],
)
def test_wrong_options_exit_2_with_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def run_module(*arguments):
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "asr_dro_plugin.bin.score", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_exit_codes_of_the_command(recipe):
    assert run_module(*options()).returncode == 0
    absent = run_module("--ref", "absent/text", "--hyp", "absent/text")
    assert absent.returncode == 1
    assert absent.stderr.count("\n") == 1
    assert absent.stderr.startswith("ERROR: ")
    assert run_module("--typo").returncode == 2


def test_help_names_what_is_written(recipe):
    assert "RESULTS.md" in run_module("--help").stdout
