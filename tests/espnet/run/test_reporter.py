"""DROReporter: missing figures and NaN do not decide; an unfinished epoch goes through a file."""

import io
import math
import warnings

import numpy as np
import pytest
import torch
from espnet2.train.reporter import Reporter, SubReporter
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.espnet.run.reporter import DROReporter, restore_sub_reporter, sub_reporter_state

NAN = math.nan


def reporter_of(*values: float | None, kind=DROReporter) -> Reporter:
    """One epoch a value of ``valid.cer``; None for an epoch without the figure."""
    reporter = kind()
    for epoch, value in enumerate(values, 1):
        figures = {"loss": 1.0} if value is None else {"loss": 1.0, "cer": value}
        reporter.stats[epoch] = {"valid": {**figures, "total_count": 1}}
        reporter.set_epoch(epoch)
    return reporter


def through_a_file(state):
    """``state`` as a checkpoint gives it back, to ESPnet too: no pickle is trusted."""
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=8), st.booleans())
def test_with_all_figures_there_the_order_is_espnets(values, is_min):
    mode = "min" if is_min else "max"
    ours = reporter_of(*values).sort_epochs_and_values("valid", "cer", mode)
    assert ours == reporter_of(*values, kind=Reporter).sort_epochs_and_values("valid", "cer", mode)


@given(st.lists(st.none() | st.floats(width=16), min_size=1, max_size=8))
def test_an_epoch_without_the_figure_is_left_out_and_nan_comes_last(values):
    reporter = reporter_of(*values)
    there = [e for e, value in enumerate(values, 1) if value is not None]
    if not there:
        with pytest.raises(KeyError, match="valid.cer is in no epoch"):
            reporter.sort_epochs("valid", "cer", "min")
        return
    numbers = sorted(v for v in values if v is not None and not math.isnan(v))
    for mode in ("min", "max"):
        ranked = reporter.sort_epochs_and_values("valid", "cer", mode)
        assert sorted(e for e, _ in ranked) == there
        found = [v for _, v in ranked]
        assert found[: len(numbers)] == (numbers if mode == "min" else numbers[::-1])
        assert all(math.isnan(v) for v in found[len(numbers) :])


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_never_the_best_epoch_wherever_it_stands(mode):
    for place in range(4):
        values = [3.0, 3.0, 3.0]
        values.insert(place, NAN)
        assert reporter_of(*values).get_best_epoch("valid", "cer", mode) != place + 1


def test_epochs_that_are_all_nan_do_not_crash_and_stop_the_training_early():
    reporter = reporter_of(NAN, NAN, NAN)
    assert reporter.get_best_epoch("valid", "cer", "min") == 1
    assert not reporter.check_early_stopping(2, "valid", "cer", "min")
    assert reporter.check_early_stopping(1, "valid", "cer", "min")


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ([5, 4, 3], False),
        ([3, 4, 5], True),
        ([NAN, 3, NAN, NAN], True),
        ([None, None, None, 3, 4], False),
        ([3, NAN, 2], False),
    ],
)
def test_early_stopping_counts_from_the_best_epoch_with_a_number(values, stops):
    assert reporter_of(*values).check_early_stopping(1, "valid", "cer", "min") == stops


def test_a_run_resumed_from_one_without_the_figure_is_not_stopped_for_it():
    reporter = reporter_of(None, None, None)
    assert not reporter.check_early_stopping(0, "valid", "worst_group_cer", "min")


def test_a_mode_that_is_neither_is_an_error():
    with pytest.raises(ValueError, match="min or max"):
        reporter_of(1.0).sort_epochs("valid", "cer", "lowest")


def test_figures_that_are_made_once_an_epoch_are_reported_like_others(tmp_path):
    reporter = DROReporter()
    reporter.set_epoch(1)
    with reporter.observe("train") as sub:
        sub.register({"loss": 2.0})
        sub.next()
    reporter.add_values("train", {"loss_pol": np.float32(0.5), "q_pol": torch.tensor(0.25)})
    assert "loss=2.000" in reporter.log_message()
    assert "q_pol=0.250" in reporter.log_message()
    again = DROReporter()
    again.load_state_dict(through_a_file(reporter.state_dict()))
    assert again.stats == reporter.stats
    assert again.get_value("train", "loss_pol") == 0.5


FIGURES = st.fixed_dictionaries(
    {"loss": st.none() | st.floats(width=32) | st.integers(0, 9)},
    optional={"acc": st.floats(0, 1), "nll": st.none() | st.floats(width=32)},
)
STEPS = st.lists(st.tuples(FIGURES, st.floats(0.5, 64)), min_size=1, max_size=12)


def register(sub: SubReporter, steps) -> None:
    for figures, weight in steps:
        sub.register(figures, weight)
        sub.register({"train_time": weight / 3})
        sub.next()


def finished(sub: SubReporter) -> dict:
    """The epoch's figures, but for the time."""
    reporter = DROReporter(epoch=sub.epoch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reporter.finish_epoch(sub)
    return {k: v for k, v in reporter.stats[sub.epoch]["train"].items() if k != "time"}


@given(STEPS, st.integers(0, 12))
def test_an_epoch_interrupted_anywhere_ends_with_the_same_figures(steps, cut):
    whole, first, second = (SubReporter("train", 3, 40) for _ in range(3))
    register(whole, steps)
    register(first, steps[:cut])
    state = through_a_file(sub_reporter_state(first))
    restore_sub_reporter(second, state)
    assert second.log_message() == first.log_message()
    register(second, steps[cut:])
    assert second.count == whole.count
    np.testing.assert_equal(finished(second), finished(whole))  # to the last bit; NaN is NaN


def test_the_state_taken_within_a_step_knows_what_the_step_has_registered():
    sub = SubReporter("train", 1, 0)
    sub.register({"iter_time": 0.1})
    again = SubReporter("train", 1, 0)
    restore_sub_reporter(again, through_a_file(sub_reporter_state(sub)))
    again.register({"loss": 1.0})
    again.next()
    assert (again.count, again.total_count) == (1, 1)
    assert [len(values) for values in again.stats.values()] == [1, 1]


def test_the_time_before_the_interruption_counts():
    sub = SubReporter("train", 1, 0)
    sub.start_time -= 100
    again = SubReporter("train", 1, 0)
    restore_sub_reporter(again, sub_reporter_state(sub))
    assert again.start_time == pytest.approx(sub.start_time, abs=1)


def test_figures_of_another_epoch_are_refused():
    state = sub_reporter_state(SubReporter("train", 1, 0))
    with pytest.raises(ValueError, match="of train, epoch 1; not of train, epoch 2"):
        restore_sub_reporter(SubReporter("train", 2, 0), state)
