"""RESULTS.md says how an experiment was made and holds every score once, with no date."""

import json
import random
import re

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.results_md import markdown_table, write_results
from tests.reporting.made import make_experiment, score_of, utterance_rows, write_decoding

LANGS = ["eng", "rus"]


@pytest.fixture
def exp(tmp_path):
    sets = ("test_x", "dev_x", "other_x")
    folder = make_experiment(tmp_path, "asr_mini", LANGS, each=4, sets=sets)
    make_experiment(tmp_path, "asr_mini", LANGS, each=4, tag="decode_beam")
    return folder


def score_at(folder):
    return json.loads((folder / "decode_greedy/test_x/score.json").read_text("utf-8"))


def headings(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_test_sets_come_first_and_sets_are_never_mixed(exp):
    assert headings(write_results(exp).read_text("utf-8")) == [
        "# Results of asr_mini", "## At a glance", "## Training",
        "## Test sets",
        "### test_x, decoded by decode_greedy", "### test_x, decoded by decode_beam",
        "## Development sets", "### dev_x, decoded by decode_greedy",
        "## Other sets", "### other_x, decoded by decode_greedy",
    ]  # fmt: skip


def test_it_says_how_it_was_made(exp):
    lines = write_results(exp).read_text("utf-8").splitlines()
    for line in (
        "- versions: asr-dro 0.1.0, git aaaaaaaaaa, espnet 202611, torch 2.13.0, python 3.12.1",
        "python3 -m asr_dro_plugin.bin.train --output_dir exp/asr_mini",
        "python3 -m asr_dro_plugin.bin.decode --data_dir dump/raw/test_x",
        "- training configuration: `conf/train_x.yaml`",
        "- decoding configuration: `conf/decode_x.yaml`",
        "- model file: `valid.ave.pth`",
        "- git commit: `abc123`",
        "- text normalised by: `lower_no_punct`",
    ):
        assert line in lines
    data = next(line for line in lines if line.startswith("- training data: "))
    assert re.fullmatch(r"- training data: train_x, \d+ (s|min) \(eng \d+ s, .*\)", data)


def test_rows_hold_the_kinds_of_errors_and_intervals(tmp_path):
    rows = utterance_rows(random.Random(0), LANGS, 4, dict.fromkeys(LANGS, 0.3))
    write_decoding(tmp_path / "greedy/test_x", rows, "test_x")
    text = write_results(tmp_path).read_text("utf-8")
    score = score_of(rows, "test_x")["groups"]["eng"]["cer"]
    row = next(line for line in text.splitlines() if line.startswith("| eng"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[5] == f"{100 * score['rate']:.1f}"
    assert cells[6] == f"{100 * score['ci'][0]:.1f}\u2013{100 * score['ci'][1]:.1f}"
    assert cells[8] == f"{100 * score['deletions'] / score['ref']:.1f}"
    summary = score_of(rows, "test_x")["summary"]["cer"]
    mean = f"{100 * summary['utterance_mean']:.1f}"
    assert f"by ML-SUPERB's convention (mean of the utterances' rates) {mean}" in text
    assert "mean of the" not in text.replace("mean of the utterances' rates", "").split("CER %:")[1]


def test_the_causes_stand_beside_the_cer_and_add_up_to_it(exp):
    text = write_results(exp).read_text("utf-8")
    assert "- unseen: reference characters that training never saw" in text
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in
                   text.splitlines() if line.startswith("| ") and "---" not in line]  # fmt: skip
    places = [head.index(name) for name in ("CER %", "naming", "unseen", "text", "rest")]
    for row in rows:
        if row[0] != "lang":
            cer, *parts = (float(row[place]) for place in places)
            assert sum(parts) == pytest.approx(cer, abs=0.21)


def test_a_cause_that_was_not_measured_says_how_it_is(exp):
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    report["causes"]["macro"] |= {"unseen": None, "lid": None}
    for group in report["groups"].values():
        group["causes"]["unseen"] = None
    report["groups"]["rus"]["causes"]["lid"] = None
    path.write_text(json.dumps(report), "utf-8")
    text = write_results(exp).read_text("utf-8")
    assert "- unseen: not measured: give --train_text" in text
    assert "- naming: not measured of rus: its texts were not all decoded with it given" in text


def test_of_many_languages_the_worst_and_the_best_fifteen_are_averaged(tmp_path):
    langs = [f"l{chr(97 + number)}x" for number in range(20)]
    text = write_results(make_experiment(tmp_path, "many", langs, each=2)).read_text("utf-8")
    summary = score_at(tmp_path / "exp/many")["summary"]["cer"]
    assert f"mean of the 15 worst {100 * summary['worst_15']:.1f}" in text
    assert f"mean of the 15 best {100 * summary['best_k']:.1f}" in text


def test_what_was_amiss_is_told(exp):
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    report["missing"] = {"count": 7, "utt_ids": [f"u{number}" for number in range(7)]}
    report["cut"] = {"count": 1, "lines": ["hyp/text:12"]}
    report["no_space"] = ["cmn"]
    report["bootstrap"] |= {"unit": "speaker", "by_utterance": ["ita"]}
    report["bootstrap"]["units"] = {"eng": 9, "ita": 12, "rus": 3}
    path.write_text(json.dumps(report), "utf-8")
    lines = write_results(exp).read_text("utf-8").splitlines()
    for line in (
        "- missing: 7 references without hypothesis, counted as deletions: u0 u1 u2 u3 u4 \u2026",
        "- cut: 1 lines of the hypotheses that are not whole, not counted: hyp/text:12",
        "- compared without spaces: cmn",
        "- 95 % intervals: 1000 bootstrap samples over speakers, wider for few by Student's t "
        "(Hesterberg 2015); over utterances in ita, of one speaker each, which says nothing of "
        "other voices; none of fewer than 5 speakers: rus (3)",
    ):
        assert line in lines


def test_scores_of_before_the_intervals_are_tables_too(tmp_path):
    folder = make_experiment(tmp_path, "old", LANGS, each=4, ci=False)
    text = write_results(folder).read_text("utf-8")
    assert "| eng" in text
    assert "\u2013" not in text


def test_making_it_again_gives_the_same_bytes(exp):
    path = write_results(exp)
    first = path.read_bytes()
    assert write_results(exp).read_bytes() == first
    assert path == exp / "RESULTS.md"


def test_without_configuration_data_and_command_it_says_so(exp):
    for name in ("config.yaml", "run.sh", "versions.json"):
        (exp / name).unlink()
    text = write_results(exp).read_text("utf-8")
    assert "asr-dro and git and espnet and torch and python not recorded" in text
    assert "hours not known" in text
    assert "command: not recorded" in text


def test_a_score_under_another_sets_name_is_refused(exp):
    (exp / "decode_greedy" / "dev_x").rename(exp / "decode_greedy" / "test_y")
    with pytest.raises(UserError, match="score of dev_x, but lies under test_y"):
        write_results(exp)


@pytest.mark.parametrize("lacking", ["total", "macro"])
def test_a_score_without_its_figures_is_one_line(exp, lacking):
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    del report[lacking]["cer"]
    path.write_text(json.dumps(report), "utf-8")
    with pytest.raises(UserError, match="lacks counts of a language or of all"):
        write_results(exp)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"set": "test_x"})])
def test_a_damaged_score_is_one_line(exp, content):
    path = exp / "decode_greedy/test_x/score.json"
    path.write_text(content)
    with pytest.raises(UserError, match="Score the set again"):
        write_results(exp)


def test_an_experiment_without_scores_is_an_error(tmp_path):
    with pytest.raises(UserError, match="Run stages 12 and 13"):
        write_results(tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        write_results(tmp_path / "absent")
    assert not (tmp_path / "RESULTS.md").exists()


def test_a_name_cannot_end_a_column():
    rows = markdown_table([["name", "value"], ["a|b", "1"]])
    assert rows[2] == r"| a\|b |     1 |"


def test_texts_that_were_ended_early_are_counted_and_named(exp):
    rows = "".join(f"u{n}\tit repeats itself\n" for n in range(7))
    (exp / "decode_greedy" / "dev_x" / "ended_early.tsv").write_text("utt_id\treason\n" + rows)
    text = write_results(exp).read_text("utf-8")
    line = "- ended early, for they went on without end: 7 (u0 u1 u2 u3 u4 and 2 more)"
    assert text.count("ended early") == 1 and line in text.partition("## Development sets")[2]
