"""score.json says everything once, in one shape, and survives the way to disk and back."""

import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.report import build_report, read_report, write_report

LANGS = {"e1": "eng", "r1": "rus"}
REFS = {"e1": "[eng] abcd", "r1": "[rus] где"}


def report(**run):
    hyps = {"e1": "[eng] abc", "x": "[eng] a"}
    return build_report(score(REFS, hyps, LANGS), "test_x", run)


def test_the_shape_is_the_documented_one():
    found = report(model_file="valid.ave.pth", git_commit="")
    assert found["groups"]["eng"]["cer"] == {
        "errors": 1, "substitutions": 0, "deletions": 1, "insertions": 0, "ref": 4, "rate": 0.25,
        "ci": None, "utterance_mean": 0.25,
    }  # fmt: skip
    assert found["total"]["lid"] == {"correct": 1, "total": 2, "rate": 0.5, "ci": None}
    assert found["macro"]["cer"] == pytest.approx((0.25 + 1.0) / 2)
    assert found["worst_group"]["cer"] == {"group": "rus", "rate": 1.0}
    assert found["missing"] == {"count": 1, "utt_ids": ["r1"]}
    assert found["extra"] == {"count": 1, "utt_ids": ["x"]}
    assert found["duplicates"] == found["empty"] == {"count": 0, "utt_ids": []}
    assert found["cut"] == {"count": 0, "lines": []}
    assert found["bootstrap"]["unit"] == "utterance"
    assert found["confusions"]["chars"] == [["d", "", 1], ["г", "", 1], ["д", "", 1], ["е", "", 1]]
    assert found["lid_confusion"] == {"eng": {"eng": 1}, "rus": {"none": 1}}
    assert found["run"] == {"model_file": "valid.ave.pth"}
    assert (found["set"], found["normalizer"]) == ("test_x", "lower_no_punct")


def test_errors_are_the_sum_of_their_kinds_everywhere():
    found = report()
    for group in (found["total"], *found["groups"].values()):
        for counts in (group["cer"], group["wer"]):
            kinds = ("substitutions", "deletions", "insertions")
            assert counts["errors"] == sum(counts[kind] for kind in kinds)
            assert counts["rate"] == counts["errors"] / counts["ref"]


def test_phonemes_stand_beside_words_where_there_is_a_map():
    phonemes = PhonemeMap({"sch": ["ʃ"], "a": ["a"]})
    found = build_report(score({"u": "scha x"}, {"u": "aa x"}, phoneme_map=phonemes), "test_x")
    assert found["total"]["per"]["errors"] == 1
    assert found["total"]["per"]["ref"] == 3
    assert found["unknown_phonemes"] == {"x": 2}
    assert "per" not in report()["total"]


def test_lid_is_null_without_tags():
    found = build_report(score({"e1": "a"}, {"e1": "a"}, LANGS), "dev_x")
    assert found["total"]["lid"] is found["macro"]["lid"] is found["worst_group"]["lid"] is None


def test_the_summary_and_the_intervals_are_numbers_of_the_documented_names():
    langs = {f"u{number}": ("eng", "rus")[number % 2] for number in range(20)}
    refs = dict.fromkeys(langs, "abcd efgh")
    hyps = {utt_id: "abcd efg" if utt_id > "u3" else "abcd" for utt_id in langs}
    found = build_report(score(refs, hyps, langs), "test_x", best_k=1)
    cer = found["summary"]["cer"]
    assert list(cer) == [
        "micro", "micro_ci", "macro", "macro_ci", "worst", "worst_group", "worst_15", "num_worst",
        "best_k", "k", "std", "utterance_mean", "macro_utterance_mean",
    ]  # fmt: skip
    assert cer["micro"] == found["total"]["cer"]["rate"]
    assert cer["micro_ci"] == found["total"]["cer"]["ci"]
    for group in (found["total"], *found["groups"].values()):
        low, high = group["cer"]["ci"]
        assert low <= group["cer"]["rate"] <= high


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
