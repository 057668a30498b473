"""The reason why a stage runs again showed the first 40 characters of an option's two values.

A command line changes at its end: "option train 'python3 -m asr_dro_plugin.bin.train -...' ->
'python3 -m asr_dro_plugin.bin.train -...'" told nothing.
"""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

PROGRAM = Path(__file__).resolve().parents[2] / "tools/utils/stage.py"
SPEC = importlib.util.spec_from_file_location("stage", PROGRAM)
stage = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(stage)
COMMAND = "python3 -m asr_dro_plugin.bin.train --config conf/train_asr_ctc_mini.yaml --max_epoch 3"
FOLDER = "/data/" + "a_long_name/" * 10


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (COMMAND, COMMAND[:-1] + "5", "'--max_epoch 3' -> '--max_epoch 5'"),
        (COMMAND, f"{COMMAND} --grad_clip 1", "'' -> '--grad_clip 1'"),
        (
            COMMAND,
            COMMAND.replace("mini", "maxi")[:-1] + "5",
            "'--config conf/train_asr_ctc_mini.yaml' -> "
            "'--config conf/train_asr_ctc_maxi.yaml' and 1 more",
        ),
        ("true", "false", "'true' -> 'false'"),
        ("a b", "a  b", "differs in its spaces"),
        (
            f"{FOLDER}old/x",
            f"{FOLDER}new/x",
            "'..._name/a_long_name/a_long_name/old/x' -> '..._name/a_long_name/a_long_name/new/x'",
        ),
    ],
)
def test_the_reason_shows_the_words_that_differ(old, new, reason):
    assert stage.difference({"x": old}, {"x": new}, "option") == f"option x {reason}"


words = st.lists(st.text("-ab\n\x00'", max_size=70), max_size=6).map(" ".join)


@given(words, words)
def test_two_values_that_differ_never_read_the_same(old, new):
    reason = stage.difference({"x": old}, {"x": new}, "option")
    assert bool(reason) == (old != new)
    assert "\n" not in reason and len(reason) < 300
    if " -> " in reason:
        before, after = reason.removeprefix("option x ").split(" -> ")
        assert before != after.split(" and ")[0]
