"""Weights by language stand beside the joint ones in RESULTS.md and on the page."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm import grid
from asr_dro_plugin.lm.by_language import choose
from asr_dro_plugin.reporting.page.build import collect, page
from asr_dro_plugin.reporting.read.experiment import open_experiments
from asr_dro_plugin.reporting.read.tuning import read_tuning
from asr_dro_plugin.reporting.results_md import write_results
from tests.lm.test_by_language import counts
from tests.reporting.made import make_experiment

JOINT, OWN = (0.5, 0.0, 0.0), (1.0, 0.0, 0.5)


def write_trials(path, by_language=True):
    """What ``tune-lm`` leaves: English wants other weights, of French there is little text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    found = grid.Trials(path, {"of": "test"}, set_name="dev_x")
    for point, errors, cer in ((JOINT, 5, 0.2), (OWN, 3, 0.25)):
        rates = {"eng": errors / 30, "fra": 0.25}
        both = {"eng": counts([errors] * 40), "fra": counts([4] * 10)}
        found.add(grid.Trial(*point, cer, 0.5, 0.3, rates, 1.0), both)
    if by_language:
        found.choices = {lang: choose(lang, found.counts[lang], JOINT) for lang in found.counts}
        rates = {"eng": 0.1, "fra": 0.25}
        found.together = grid.Trial(*JOINT, 0.175, 0.5, 0.25, rates, 1.0)
    found.write()
    return path


@pytest.fixture
def exp(tmp_path):
    folder = make_experiment(tmp_path, "asr_a", ["eng", "fra"], each=4)
    write_trials(folder / "decode_lm_tuned/decode.json")
    return folder


def test_results_compare_them_with_the_joint_ones(exp):
    lines = write_results(exp).read_text("utf-8").splitlines()
    assert "### decode_lm_tuned, found on dev_x" in lines
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "1,200" in line]
    assert rows == [["eng", "40", "1,200", "16.7", "10.0", "10.0", "1", "0", "0.5", ""]]
    assert any("300 characters are fewer than 1,000" in line for line in lines)
    assert any("macro CER 20.0 % with the joint weights (alpha 0.5" in line for line in lines)


def test_the_page_has_a_part_of_its_own_where_there_are_any(exp):
    text = page(collect(open_experiments([exp], None)))
    assert '<section id="weights"' in text and "300 characters are fewer than 1,000" in text
    write_trials(exp / "decode_lm_tuned/decode.json", by_language=False)
    assert '<section id="weights"' not in page(collect(open_experiments([exp], None)))
    assert "Weights of the language model" not in write_results(exp).read_text("utf-8")


def test_a_damaged_tuning_is_named_and_the_rest_is_there(exp):
    path = exp / "decode_lm_tuned/decode.json"
    path.write_text('{"by_language": {}, "set"')
    with pytest.raises(UserError, match="cannot be read|can be read. Tune again"):
        read_tuning(path)
    assert f"**Left out: {path} holds no trials" in write_results(exp).read_text("utf-8")
    experiments = open_experiments([exp], None)
    assert "holds no trials that can be read" in page(collect(experiments))
