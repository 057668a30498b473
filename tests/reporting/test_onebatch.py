"""The report of a one batch test names what is wrong."""

import json

import pytest

from asr_dro_plugin.reporting.onebatch import OneBatchRun, beginning, ending, write_files


def made(**changes) -> OneBatchRun:
    given = {
        "config": "conf/x.yaml", "utt_ids": ["a", "b"], "references": ["ja", "nein danke"],
        "hypotheses": ["ja", "nein"], "planned": 7, "number": 1, "speech_seconds": 2.5,
        "num_labels": 12, "too_short": {}, "off": ["dropout (3)"], "learning": 1000,
        "parameters": 1000, "rate_from": "max_lr of onecyclelr", "rates": [(0, 0.002, "first")],
        "losses": [9.0] * 50, "wers": [(50, 0.5)], "seconds": 3.0, "ended": "max_updates",
    }  # fmt: skip
    return OneBatchRun(**{**given, **changes})


def text(lines) -> str:
    return "\n".join(lines)


def test_the_beginning_says_what_is_learned_and_with_what():
    said = text(beginning(made(too_short={"c": (3, 5)})))
    assert "2 of the 7 utterances of planned batch 1, the shortest (a b)" in said
    assert "left out: c, whose 3 frames are fewer than the 5" in said
    assert "turned off: dropout (3)" in said
    assert "learning rate 0.002 (max_lr of onecyclelr)" in said


def test_only_what_is_wrong_is_shown():
    said = text(ending(made()))
    assert "WER 0 not reached: WER is 50.0 % after 50 updates" in said
    assert "reference   nein danke\n    hypothesis  nein" in said
    assert "reference   ja" not in said


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"losses": [9.0] * 50}, "the loss did not fall"),
        ({"losses": [9.0 - x / 10 for x in range(50)]}, "the loss was still falling"),
        ({"rates": [(0, 0.3, "first"), (9, 0.1, "x")]}, "had to be lowered, to 0.1 at last"),
        ({"ended": "no_rate"}, "the learning rate is 0"),
        ({"learning": 10}, "only 1 % of the parameters learn"),
        ({"too_short": {"c": (3, 5)}}, "frames are too few"),
        ({"references": ["ja", "<unk> danke"]}, "the references hold <unk>"),
        ({"wers": [], "ended": "interrupted"}, "nothing decoded yet"),
    ],
)
def test_what_usually_causes_it_is_named_where_it_applies(changes, words):
    assert words in text(ending(made(**changes)))
    if words != "the loss did not fall":
        assert words not in text(ending(made()))


def test_a_batch_that_was_learned_is_one_line():
    said = list(ending(made(ended="reached", losses=[9.0, 0.5])))
    assert said == ["WER 0 reached after 2 updates in 3.0 s, loss 9.00 -> 0.50."]


@pytest.mark.parametrize("losses", [[], [3.0, float("inf"), 1.0]])
def test_files_are_written_however_little_there_is(tmp_path, losses):
    write_files(made(losses=losses, wers=[]), tmp_path / "out")
    found = json.loads((tmp_path / "out" / "onebatchtest.json").read_text())
    assert found["reached"] is False and found["updates"] == len(losses)
    assert found["losses"] == [None if loss == float("inf") else loss for loss in losses]
    assert (tmp_path / "out" / "onebatchtest.png").read_bytes().startswith(b"\x89PNG")
