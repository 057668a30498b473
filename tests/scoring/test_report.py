"""score.json says everything once, in one shape, and survives the way to disk and back."""

import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.report import build_report, read_report, write_report

LANGS = {"e1": "eng", "r1": "rus"}
REFS = {"e1": "[eng] abcd", "r1": "[rus] где"}


def report(**run):
    hyps = {"e1": "[eng] abc", "x": "[eng] a"}
    return build_report(score(REFS, hyps, LANGS), "test_x", run)


def test_the_shape_is_the_documented_one():
    found = report(model_file="valid.ave.pth", git_commit="")
    assert found["groups"]["eng"]["cer"] == {
        "errors": 1, "substitutions": 0, "deletions": 1, "insertions": 0, "ref": 4, "rate": 0.25
    }  # fmt: skip
    assert found["total"]["lid"] == {"correct": 1, "total": 2, "rate": 0.5}
    assert found["macro"]["cer"] == pytest.approx((0.25 + 1.0) / 2)
    assert found["worst_group"]["cer"] == {"group": "rus", "rate": 1.0}
    assert found["missing"] == {"count": 1, "utt_ids": ["r1"]}
    assert found["extra"] == {"count": 1, "utt_ids": ["x"]}
    assert found["run"] == {"model_file": "valid.ave.pth"}
    assert (found["set"], found["normalizer"]) == ("test_x", "lower_no_punct")


def test_errors_are_the_sum_of_their_kinds_everywhere():
    found = report()
    for group in (found["total"], *found["groups"].values()):
        for counts in (group["cer"], group["wer"]):
            kinds = ("substitutions", "deletions", "insertions")
            assert counts["errors"] == sum(counts[kind] for kind in kinds)
            assert counts["rate"] == counts["errors"] / counts["ref"]


def test_lid_is_null_without_tags():
    found = build_report(score({"e1": "a"}, {"e1": "a"}, LANGS), "dev_x")
    assert found["total"]["lid"] is found["macro"]["lid"] is found["worst_group"]["lid"] is None


def test_it_is_read_back_as_it_was_and_written_the_same_twice(tmp_path):
    path = tmp_path / "new" / "score.json"
    write_report(path, report())
    first = path.read_bytes()
    assert read_report(path) == report()
    write_report(path, read_report(path))
    assert path.read_bytes() == first


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"set": "x"', json.dumps({"set": "x"})])
def test_another_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "score.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"score\.json .*Score the set again"):
        read_report(path)
