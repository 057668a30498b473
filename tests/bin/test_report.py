"""`report` writes the page and RESULTS.md, names what it wrote, and exits as it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from asr_dro_plugin.bin import score
from asr_dro_plugin.bin.report import main
from asr_dro_plugin.errors import SomeLeftOut, UserError
from tests.reporting.made import make_experiment

ROOT = Path(__file__).resolve().parents[2]
LANGS = ["eng", "rus"]


@pytest.fixture
def exp(tmp_path):
    return make_experiment(tmp_path, "asr_a", LANGS, each=6)


def written(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".html", ".md"))


def test_one_experiment_gets_its_page_and_results(exp, capsys):
    assert main([str(exp), "--audio", "0"]) == 0
    assert written(exp) == ["RESULTS.md", "report.html"]
    assert "report.html (0." in capsys.readouterr().out


def test_several_need_a_place_and_each_gets_its_results(exp, tmp_path, capsys):
    other = make_experiment(tmp_path, "asr_b", LANGS, each=6)
    with pytest.raises(SystemExit) as stopped:
        main([str(exp), str(other)])
    assert stopped.value.code == 2
    assert "need --out FILE" in capsys.readouterr().err
    out = tmp_path / "reports/all.html"
    assert main([str(exp), str(other), "--out", str(out), "--audio", "0"]) == 0
    assert "asr_b" in out.read_text("utf-8")
    assert written(exp) == written(other) == ["RESULTS.md"]


def test_results_can_be_left_alone(exp):
    assert main([str(exp), "--audio", "0", "--results", "false"]) == 0
    assert written(exp) == ["report.html"]


def test_without_a_score_the_training_is_shown(tmp_path, capsys):
    folder = make_experiment(tmp_path, "asr_new", LANGS, sets=())
    assert main([str(folder)]) == 0
    assert "no score yet, so no RESULTS.md" in capsys.readouterr().out
    assert written(folder) == ["report.html"]


def test_rates_of_auxiliary_targets_are_no_languages_of_the_page(exp):
    config = yaml.safe_load((exp / "config.yaml").read_text("utf-8"))
    del config["groups"]  # so that metrics.jsonl says which there are
    (exp / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    words = [str(exp), "--audio", "0", "--results", "false"]
    assert main(words) == 0
    without = (exp / "report.html").read_text("utf-8")
    lines = [json.loads(line) for line in (exp / "metrics.jsonl").read_text("utf-8").splitlines()]
    for line in lines[1::2]:
        line["values"] |= {"ter_aux": 0.9, "ter_aux_eng": 0.9, "ter_aux_rus": 0.9}
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (exp / "metrics.jsonl").write_text(text, "utf-8")
    assert main(words) == 0
    page = (exp / "report.html").read_text("utf-8")
    assert "aux_eng" not in page and len(page.splitlines()) == len(without.splitlines())


def test_a_damaged_file_is_left_out_and_the_exit_code_tells(exp):
    (exp / "decode_greedy/test_x/utts.tsv").write_text("x\n")
    with pytest.raises(SomeLeftOut, match="1 file could not be used .*utts.tsv") as stopped:
        main([str(exp), "--audio", "0"])
    assert stopped.value.exit_code == 3
    assert written(exp) == ["RESULTS.md", "report.html"]


def test_strict_writes_nothing_where_a_file_is_damaged(exp):
    (exp / "seen.json").write_text("{")
    with pytest.raises(UserError, match="seen.json") as stopped:
        main([str(exp), "--strict", "true"])
    assert stopped.value.exit_code == 1
    assert written(exp) == []


def test_a_count_that_is_none_is_a_wrong_option(exp, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(exp), "--audio", "-1"])
    assert stopped.value.code == 2


def test_what_score_writes_is_what_report_reads(exp, tmp_path):
    data, folder = tmp_path / "dump/raw/test_x", exp / "decode_greedy/test_x"
    lines = (data / "text").read_text("utf-8").splitlines()
    hypotheses = [line.replace("t", "d").replace("l", "") for line in lines]
    (folder / "text").write_text("\n".join(hypotheses) + "\n", "utf-8")
    assert score.main(
        [str(data / "text"), str(folder / "text"), "--json", str(folder / "score.json"),
         "--utts", str(folder / "utts.tsv"), "--train_text", str(data / "text"),
         "--overwrite", "true"]
    ) == 0  # fmt: skip
    assert main([str(exp), "--audio", "0"]) == 0
    text = (exp / "report.html").read_text("utf-8")
    assert "Not here" not in text
    assert 'class="ci"' in text
    results = (exp / "RESULTS.md").read_text("utf-8")
    assert "by ML-SUPERB's convention" in results
    assert "bootstrap samples over utterances" in results
    assert "| naming | unseen |" in results


def run_module(*arguments, cwd):
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "asr_dro_plugin.bin.main", "report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False)


def test_the_command_finds_the_recipe_from_anywhere(exp, tmp_path):
    done = run_module("asr_a", "--audio", "0", cwd=tmp_path / "exp")
    assert (done.returncode, done.stderr) == (0, "")
    text = (exp / "report.html").read_text("utf-8")
    assert "train_x" in text
    absent = run_module("asr_x", cwd=tmp_path)
    assert absent.returncode == 1
    assert absent.stderr.count("\n") == 1


def test_results_are_written_without_the_score_that_is_damaged(tmp_path, capsys):
    exp = make_experiment(tmp_path, "asr_a", LANGS, each=4, sets=("test_x", "dev_x"))
    (exp / "decode_greedy/test_x/score.json").write_text("{")
    with pytest.raises(SomeLeftOut, match="1 file could not be used .*score.json"):
        main([str(exp), "--audio", "0"])
    results = (exp / "RESULTS.md").read_text("utf-8")
    assert "cannot be read: test_x, decoded by decode_greedy" in results
    assert "### dev_x" in results and "### test_x" not in results
    page = (exp / "report.html").read_text("utf-8")
    assert page.index("What could not be used") < page.index("In short</h2>")


def test_results_that_stay_as_they_were_are_named(exp, capsys):
    (exp / "RESULTS.md").write_text("old")
    (exp / "config.yaml").write_text("{]")
    with pytest.raises(SomeLeftOut, match="config.yaml"):
        main([str(exp), "--audio", "0"])
    assert f"{exp}/RESULTS.md stays as it was." in capsys.readouterr().out
