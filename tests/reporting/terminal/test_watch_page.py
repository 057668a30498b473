"""The page fits any terminal and tells the worst first."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.read.history import History
from asr_dro_plugin.reporting.read.run_state import RunState
from asr_dro_plugin.reporting.terminal.text_plot import ASCII, UNICODE, bar, curve, trend
from asr_dro_plugin.reporting.terminal.watch_page import Look, languages, render, summary

COLOURS = re.compile(r"\x1b\[\d+m")


def history(num_groups=143, num_epochs=6):
    """CERs that fall; the group of the highest number is the worst."""
    names = [f"g{number:03d}" for number in range(num_groups)]
    records = []
    for epoch in range(1, num_epochs + 1):
        step = 10 * epoch
        for part in (step - 5, step):
            values = {"loss": 300.0 / part, "optim0_lr0": 0.001}
            records.append(Record("train", epoch, part, part, False, part, values))
        cers = {f"cer_{n}": (i + 1) / num_groups / epoch for i, n in enumerate(names)}
        weights = {f"q_{n}": 1 / num_groups for n in names}
        records.append(Record("train", epoch, step, step, True, step, {"loss": 9.0, **weights}))
        records.append(Record("valid", epoch, step, step, True, step, {"loss": 8.0, **cers}))
    return History(records)


STATE = RunState(
    name="asr_train_dro", condition="running", words="running", history=history(), epoch=6,
    max_epoch=10, done=60, total=100, updates=60, seconds_left=4000.0, sign_age=3.0,
    checkpoint_age=70.0, num_skipped=2, warnings=(("14:00", "odd\x1b[31m " * 40),) * 3,
)  # fmt: skip


@given(
    st.integers(1, 250), st.integers(1, 200), st.booleans(), st.booleans(),
    st.sampled_from([0, 1, 5, 143]), st.booleans(),
)  # fmt: skip
def test_no_page_is_larger_than_its_terminal(width, height, unicode, colour, groups, warned):
    state = replace(STATE, history=history(groups, 3), warnings=STATE.warnings if warned else ())
    lines = render(state, Look(width, height, unicode, colour))
    assert len(lines) <= height
    assert max(len(COLOURS.sub("", line)) for line in lines) <= width
    assert unicode or all(line.isascii() for line in lines)
    assert colour or not any("\x1b" in line for line in lines)


def test_the_worst_come_first_and_those_that_do_not_fit_are_counted():
    lines = render(STATE, Look(100, 40))
    names = [line.split()[0] for line in lines if re.match(r"g\d\d\d ", line)]
    assert names == [f"g{142 - n:03d}" for n in range(len(names))] and 10 < len(names) < 30
    assert any(f"and {143 - len(names)} better ones" in line for line in lines)
    everything = "\n".join(render(STATE, Look(100, None)))
    assert all(f"g{number:03d} " in everything for number in range(143))


def test_the_figures_of_a_language_are_its_latest():
    (worst, *_) = languages(STATE)
    assert worst.name == "g142" and worst.cer == pytest.approx(1 / 6)
    assert worst.change == pytest.approx(1 / 6 - 1 / 5) and worst.weight == pytest.approx(1 / 143)
    row = next(line for line in render(STATE, Look(100, 40)) if line.startswith("g142"))
    assert "16.7" in row and "-3.3" in row and "0.007" in row and "█" in row


def test_a_low_terminal_gives_up_the_curve_before_the_languages():
    low, high = (render(STATE, Look(100, height)) for height in (14, 40))
    assert not any(line.startswith("Loss") for line in low)
    assert any(line.startswith("Loss") for line in high)
    assert sum(line.startswith("g1") for line in low) >= 2


def test_the_head_tells_progress_signs_and_warnings():
    text = "\n".join(render(STATE, Look(120, None)))
    for words in (
        "epoch 6/10", "60 %", "batches 60/100", "updates 60", "67 min left", "last sign 3 s ago",
        "checkpoint 70 s ago", "skipped steps 2", "learning rate 0.001", "14:00 (3 times) odd",
    ):  # fmt: skip
        assert words in text, words
    assert "macro 8.4 %" in text and "worst g142 16.7 % (the least so far 16.7 %)" in text


def test_a_run_without_groups_or_reports_has_a_page_too():
    empty = replace(
        STATE, history=History([]), total=None, updates=None, seconds_left=None, sign_age=None,
        checkpoint_age=None, max_epoch=None,
    )  # fmt: skip
    lines = render(empty, Look(80, 24))
    assert "no checkpoint yet" in lines[2] and "epoch 6" in lines[1]
    assert summary(empty).endswith("running")


def test_one_line_says_the_same_in_short():
    words = "asr_train_dro: epoch 6/10, 60 batches, loss 5, dev CER 8.4 %, worst g142 16.7 %, "
    assert summary(STATE) == words + "67 min left, running"


def test_a_group_whose_cer_is_no_number_comes_last_and_spoils_nothing():
    records = history(3, 2).records
    broken = {**records[-1].values, "cer_g002": float("nan")}
    state = replace(STATE, history=History([*records[:-1], replace(records[-1], values=broken)]))
    assert [language.name for language in languages(state)] == ["g001", "g000", "g002"]
    assert "nan" in next(line for line in render(state, Look(100, 40)) if line.startswith("g002"))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20), st.integers(1, 30))
def test_trends_and_bars_have_their_width(values, width):
    for glyphs in (UNICODE, ASCII):
        assert len(trend(values, width, glyphs)) == width
        for share in [*values, 0.5]:
            assert len(bar(share, width, glyphs)) == width


def test_a_trend_rises_with_its_values():
    assert trend([1, 2, 3, 4, 5, 6, 7, 8], 8, UNICODE) == "▁▂▃▄▅▆▇█"
    assert trend([1, float("nan"), 3], 4, UNICODE) == "▁ █ "


def test_a_curve_has_its_points_where_they_belong():
    rows = curve([([0, 1, 2], [5.0, 3.0, 1.0], "x")], 40, 5, ASCII)
    assert [row.count("x") for row in rows] == [1, 0, 1, 0, 1, 0]
    columns = [row.index("x") for row in rows[:-1] if "x" in row]
    assert columns == sorted(columns) and columns[-1] == 39
    assert rows[0].split("|")[0].strip() == "5" and rows[4].split("|")[0].strip() == "1"
    assert curve([([], [], "x")], 40, 5, ASCII) == []
    assert curve([([1], [np.nan], "x")], 40, 5, ASCII) == []


def test_a_curve_that_begins_within_the_first_epoch_begins_at_0():
    [*_, axis] = curve([([1 / 12, 1, 2], [5.0, 3.0, 1.0], "x")], 40, 5, ASCII)
    assert axis.split()[0].strip("".join(ASCII.axis)) == "0" and axis.endswith("epoch 2")
