"""What moves q: five signals, each with what it must not be fooled by."""

import math

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import build_objective
from asr_dro_plugin.objectives.update import update_group_weights

STEP = {"smoothing": 0.1, "step_size": 1e-2, "cap": 1e9, "floor": 1e-10}
LENGTHS = ("durations_B", "num_frames_B", "num_labels_B")


def feed(objective, *batches):
    """One batch of two equal utterances a group: (loss, seconds, frames, labels) of each."""
    for group, (loss, *lengths) in enumerate(batches):
        given = {key: torch.full((2,), value) for key, value in zip(LENGTHS, lengths)}
        objective(torch.full((2,), loss), torch.full((2,), group), **given)
    return objective.group_weights.double()


def moved(losses):
    """q of the formula after one update from uniform."""
    loss_G = torch.tensor(losses)
    q = torch.full((len(losses),), 1 / len(losses)).double()
    return update_group_weights(q, loss_G, 1e-2, 0.1, cap=1e9, floor=1e-10)


def close(q, losses):
    torch.testing.assert_close(q, moved(losses), atol=1e-6, rtol=1e-5)


def test_frames_is_the_loss_per_frame():
    objective = build_objective("ctc_dro", 2, signal="frames", **STEP)
    close(feed(objective, (50.0, 25.0, 100, 5), (90.0, 25.0, 900, 5)), [0.5, 0.1])


def test_labels_is_the_loss_per_label_at_the_mean_labels_of_d_seconds():
    objective = build_objective("ctc_dro", 2, signal="labels", duration=50.0, **STEP)
    q = feed(objective, (60.0, 10.0, 100, 10), (60.0, 10.0, 100, 30))
    # 80 labels in 40 seconds: 100 labels in d.
    close(q, [6.0 * 100, 2.0 * 100])


def test_a_slow_language_with_the_same_error_a_label_is_not_an_easy_one():
    batches = (30.0, 10.0, 100, 10), (90.0, 10.0, 100, 30)
    slow = feed(build_objective("ctc_dro", 2, signal="labels", **STEP), *batches)
    assert slow.tolist() == pytest.approx([0.5, 0.5])
    assert feed(build_objective("ctc_dro", 2, **STEP), *batches)[0] < 0.45


@pytest.mark.parametrize(
    ("signal", "said"), [("frames", "num_frames_B"), ("labels", "num_labels_B")]
)
def test_what_a_signal_needs_must_be_given(signal, said):
    with pytest.raises(UserError, match=f"signal: {signal} needs {said}"):
        build_objective("ctc_dro", 2, signal=signal)(torch.ones(1), torch.zeros(1).long())


REFERENCE = {
    "steps": [2, 4],
    "loss": [[30.0, 40.0], [10.0, None]],
    "batch_loss": [[60.0, 80.0], [20.0, 80.0]],
    "groups": ["a", "b"],
}


def excess(reference=REFERENCE, **conf):
    return build_objective(
        "ctc_dro", 2, signal="excess", reference=reference, group_names=["a", "b"], **STEP, **conf
    )


def test_excess_is_what_lies_above_the_reference_at_the_same_step():
    objective = excess()
    close(feed(objective, (35.0,), (39.0,)), [10.0, 0.0])  # 70 - 60; 78 - 80 is clipped
    q = objective.group_weights.double()
    expected = update_group_weights(q, torch.tensor([50.0, 0.0]), 1e-2, 0.1, 1e9, 1e-10)
    torch.testing.assert_close(feed(objective, (35.0,), (39.0,)), expected, atol=1e-6, rtol=1e-5)


def test_excess_may_be_measured_against_the_end_of_the_reference():
    close(feed(excess(reference_at="end"), (35.0,), (39.0,)), [50.0, 0.0])


def test_excess_by_utterance_takes_the_loss_of_an_utterance():
    # The second group was not seen in the last entry: the one before stands.
    close(feed(excess(reference_at="end", agg="mean"), (35.0,), (49.0,)), [25.0, 9.0])


def test_beyond_the_reference_its_last_entry_stands():
    objective = excess(round_limit=0)
    for _ in range(40):
        feed(objective, (10.0,))
    close(feed(objective, (10.0,), (45.0,)), [0.0, 10.0])


def test_excess_of_nothing_moves_nothing_with_a_relative_step_size():
    objective = build_objective("ctc_dro", 2, signal="excess", reference=REFERENCE)
    assert feed(objective, (1.0,), (1.0,)).tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": []}, "lacks steps"),
        ({"batch_loss": [[1.0, 2.0]]}, "2 losses for each of its 2 steps"),
        ({"batch_loss": [[1.0], [2.0]]}, "2 losses for each"),
        ({"batch_loss": [[1.0, None], [2.0, math.nan]]}, "never saw group b"),
        ({"steps": [4, 2]}, "do not rise"),
        ({"groups": ["a", "c"]}, "new: b; gone: c"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        excess(REFERENCE | change)


def test_dev_cer_moves_q_once_a_validation_and_training_does_not():
    objective = build_objective("ctc_dro", 3, signal="dev_cer", **STEP)
    for _ in range(2):
        feed(objective, (1.0,), (50.0,), (900.0,))
    assert torch.equal(objective.group_weights, torch.full((3,), 1 / 3))
    objective.eval()
    objective.observe_dev(torch.tensor([0.6, 0.2, math.nan]))
    assert objective.num_updates == 1
    q, uniform = objective.group_weights.double(), torch.full((3,), 1 / 3).double()
    cer_G = torch.tensor([0.6, 0.2, math.nan])
    expected = update_group_weights(uniform, cer_G, 1e-2, 0.1, cap=1e9, floor=1e-10)
    torch.testing.assert_close(q, expected, atol=1e-6, rtol=1e-6)
    assert objective.read_log()["utterances"] == [4, 4, 4]


def test_a_validation_without_any_cer_moves_nothing():
    objective = build_objective("ctc_dro", 2, signal="dev_cer")
    objective.observe_dev(torch.full((2,), math.nan))
    assert objective.num_updates == 0 and objective.group_weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_cer_that_is_no_number_does_not_freeze_q(bad):
    objective = build_objective("ctc_dro", 3, signal="dev_cer")
    objective.observe_dev(torch.tensor([0.3, 0.2, bad]))
    before = objective.group_weights
    assert objective.mean_loss.isfinite()
    objective.observe_dev(torch.tensor([0.1, 0.9, 0.2]))
    assert objective.num_updates == 2 and objective.group_weights[1] > before[1] + 0.01
    assert objective.mean_loss.isfinite()


def test_an_infinite_cer_counts_as_the_worst_of_the_others():
    odd, even = (build_objective("ctc_dro", 4, signal="dev_cer", **STEP) for _ in range(2))
    odd.observe_dev(torch.tensor([0.3, math.inf, math.nan, 0.8]))
    even.observe_dev(torch.tensor([0.3, 0.8, math.nan, 0.8]))
    assert torch.equal(odd.group_weights, even.group_weights)
    assert odd.dev_signal[1] == math.inf  # what was given is kept


def test_a_validation_of_infinite_cers_moves_nothing():
    objective = build_objective("ctc_dro", 2, signal="dev_cer")
    objective.observe_dev(torch.full((2,), math.inf))
    assert objective.num_updates == 0 and objective.group_weights.tolist() == [0.5, 0.5]


def test_a_running_mean_that_was_spoilt_before_is_begun_anew():
    objective = build_objective("ctc_dro", 2, signal="dev_cer")
    objective.observe_dev(torch.tensor([0.5, 0.25]))
    objective.mean_loss.fill_(math.nan)
    objective.observe_dev(torch.tensor([0.75, 0.25]))
    assert float(objective.mean_loss) == 0.5


@pytest.mark.parametrize("update", ["round", "batch"])
def test_speech_without_a_second_or_a_frame_does_not_spoil_the_mean(update):
    for signal in ("labels", "frames"):
        objective = build_objective("ctc_dro", 2, signal=signal, update=update)
        objective(torch.ones(2), torch.tensor([0, 1]), *nothing(signal), **lengths_of(signal))
        feed(objective, (60.0, 10.0, 100, 10), (90.0, 10.0, 100, 30))
        assert objective.mean_loss.isfinite() and objective.group_weights.isfinite().all()


def nothing(signal):
    return (torch.zeros(2),) if signal == "labels" else (torch.ones(2),)


def lengths_of(signal):
    frames = torch.tensor([0, 5]) if signal == "frames" else torch.tensor([5, 5])
    return {"num_frames_B": frames, "num_labels_B": torch.tensor([2, 2])}


def test_other_signals_keep_the_cer_and_do_not_move():
    objective = build_objective("ctc_dro", 2)
    objective.observe_dev(torch.tensor([0.5, 0.25]))
    assert objective.dev_signal.tolist() == [0.5, 0.25] and objective.num_updates == 0
