"""RESULTS.md holds every decoding and set once, test apart from development, and no date."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.report import build_report, write_report
from asr_dro_plugin.scoring.results_md import write_results


def add(exp, tag, set_name, hyp="ab", **run):
    found = build_report(score({"e1": "abcd"}, {"e1": hyp}, {"e1": "eng"}), set_name, run)
    write_report(exp / tag / set_name / "score.json", found)


@pytest.fixture
def exp(tmp_path):
    folder = tmp_path / "asr_mini"
    add(folder, "decode_b", "dev_x", "abc", model_file="valid.ave.pth")
    add(
        folder,
        "decode_b",
        "test_x",
        asr_config="conf/train_asr_ctc_mini.yaml",
        git_commit="abc123",
    )
    add(folder, "decode_a", "test_x", inference_config="conf/decode_asr_greedy.yaml")
    add(folder, "decode_a", "train_x", "abcd")
    return folder


def headings(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_test_sets_come_first_and_sets_are_never_mixed(exp):
    text = write_results(exp).read_text()
    assert headings(text) == [
        "# Results of asr_mini",
        "## Test sets", "### test_x, decoded by decode_a", "### test_x, decoded by decode_b",
        "## Development sets", "### dev_x, decoded by decode_b",
        "## Other sets", "### train_x, decoded by decode_a",
    ]  # fmt: skip


def test_it_says_what_was_trained_and_decoded(exp):
    text = write_results(exp).read_text()
    for line in (
        "- training configuration: `conf/train_asr_ctc_mini.yaml`",
        "- decoding configuration: `conf/decode_asr_greedy.yaml`",
        "- model file: `valid.ave.pth`",
        "- git commit: `abc123`",
        "- text normalised by: `lower_no_punct`",
    ):
        assert line in text.splitlines()


def test_making_it_again_gives_the_same_bytes(exp):
    path = write_results(exp)
    first = path.read_bytes()
    assert write_results(exp).read_bytes() == first
    assert path == exp / "RESULTS.md"


def test_a_score_under_another_sets_name_is_refused(exp):
    (exp / "decode_b" / "dev_x").rename(exp / "decode_b" / "test_y")
    with pytest.raises(UserError, match="score of dev_x, but lies under test_y"):
        write_results(exp)


def test_an_experiment_without_scores_is_an_error(tmp_path):
    with pytest.raises(UserError, match="Run stages 12 and 13"):
        write_results(tmp_path)
    with pytest.raises(UserError, match="is no folder"):
        write_results(tmp_path / "absent")
    assert not (tmp_path / "RESULTS.md").exists()
