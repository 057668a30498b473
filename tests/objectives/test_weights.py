"""The update of q: the formula, its limits, and what it does with numbers that are none."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives.update import update_group_weights
from asr_dro_plugin.objectives.weights import raise_to_floor, stability

UNCAPPED = {"cap": 1e9, "floor": 0.0}


def fixed_point(loss_G: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Weights at which CTC-DRO stands still under constant losses, float64 (G,).

    On the active set A (the groups of largest loss), ``q_g = loss_g (1 + |A| smoothing) /
    sum_A loss - smoothing``; the others are at zero.  A is the largest set whose weights are all
    positive.
    """
    sorted_G, order_G = loss_G.double().sort(descending=True)
    size_G = torch.arange(1, len(loss_G) + 1, device=loss_G.device)
    level_G = (1 + size_G * smoothing) / sorted_G.cumsum(0)  # weight + smoothing a nat, by size
    active = int((sorted_G * level_G > smoothing).sum())
    q_G = (sorted_G * level_G[active - 1] - smoothing).clamp(min=0)
    return torch.empty_like(q_G).scatter_(0, order_G, q_G)


def by_hand(q, losses, step_size, smoothing, cap=1.0, floor=0.0):
    """The formula in plain Python, one group after the other."""
    divisors = [1.0 if smoothing is None else w + smoothing for w in q]
    steps = [step_size * loss / divisor for loss, divisor in zip(losses, divisors)]
    mean = sum(steps) / len(steps)
    steps = [max(-cap, min(cap, step - mean)) for step in steps]
    grown = [w * math.exp(step) for w, step in zip(q, steps)]
    new = [w / sum(grown) for w in grown]
    low = [w < floor for w in new]
    while any(w < floor for w, is_low in zip(new, low) if not is_low) or any(low):
        rest = sum(w for w, is_low in zip(new, low) if not is_low)
        scale = (1 - floor * sum(low)) / rest
        scaled = [floor if is_low else w * scale for w, is_low in zip(new, low)]
        lower = [w < floor or is_low for w, is_low in zip(scaled, low)]
        if lower == low:
            return scaled
        low = lower
    return new


@pytest.mark.parametrize("smoothing", [None, 0.0, 0.1, 1.0])
@pytest.mark.parametrize("step_size", [1e-4, 1e-3, 0.5])
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_an_update_is_the_formula(smoothing, step_size, floor):
    q, losses = [0.2, 0.5, 0.3], [120.0, 480.0, 900.0]
    new = update_group_weights(
        torch.tensor(q).double(), torch.tensor(losses), step_size, smoothing, floor=floor
    )
    assert new.tolist() == pytest.approx(by_hand(q, losses, step_size, smoothing, floor=floor))


def test_group_dro_is_multiplication_with_the_exponential():
    q, losses = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([1.0, 2.0, 0.0]).double()
    expected = q * torch.exp(0.7 * losses)
    new = update_group_weights(q, losses, 0.7, None, **UNCAPPED)
    torch.testing.assert_close(new, expected / expected.sum())


def test_smoothing_zero_is_the_limit_of_the_formula_and_not_group_dro():
    q, losses = torch.tensor([0.6, 0.3, 0.1]).double(), torch.tensor([3.0, 2.0, 1.0]).double()
    zero = update_group_weights(q, losses, 0.1, 0.0)
    torch.testing.assert_close(zero, update_group_weights(q, losses, 0.1, 1e-12))
    assert not torch.allclose(zero, update_group_weights(q, losses, 0.1, None), atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_are_those_of_q_and_the_arguments_stay_as_they_are(dtype):
    q, losses = torch.tensor([0.5, 0.5], dtype=dtype), torch.tensor([1.0, 2.0])
    new = update_group_weights(q, losses, 0.1, 0.1)
    assert new.dtype == dtype and new.shape == q.shape
    assert q.tolist() == [0.5, 0.5] and losses.tolist() == [1.0, 2.0]


def test_the_cap_bounds_the_change_of_each_log_weight():
    q = torch.tensor([0.4, 0.3, 0.3]).double()
    new = update_group_weights(q, torch.tensor([1e6, 1.0, 1.0]), 1.0, 0.1, cap=0.5, floor=0.0)
    change = (new / q).log()
    assert float(change.max() - change.min()) == pytest.approx(1.0)  # from -0.5 to +0.5


def test_entries_below_the_floor_are_raised_and_the_others_shrink_in_proportion():
    q = raise_to_floor(torch.tensor([0.001, 0.3, 0.699]).double(), 0.01)
    assert q[0] == 0.01 and float(q.sum()) == pytest.approx(1.0)
    assert float(q[1] / q[2]) == pytest.approx(0.3 / 0.699)


def test_shrinking_may_bring_another_group_down_to_the_floor():
    q = raise_to_floor(torch.tensor([0.0, 0.1001, 0.8999]).double(), 0.1)
    assert q.tolist() == pytest.approx([0.1, 0.1, 0.8])


def test_a_floor_that_nothing_is_below_changes_no_bit():
    q = torch.softmax(torch.linspace(-1, 1, 143).double(), 0)
    assert torch.equal(raise_to_floor(q, 1e-6), q)


def test_a_starved_group_returns():
    q = torch.tensor([0.0, 0.5, 0.5])
    for _ in range(30):
        q = update_group_weights(q, torch.tensor([900.0, 100.0, 100.0]), 1e-3, 0.1)
    assert q[0] > 0.5


def test_a_group_that_was_not_seen_keeps_its_log_weight_and_is_no_part_of_the_mean():
    q = torch.tensor([0.25, 0.25, 0.5]).double()
    new = update_group_weights(q, torch.tensor([2.0, 1.0, math.nan]), 0.1, 0.1)
    pair = update_group_weights(q, torch.tensor([2.0, 1.0, 1.5]), 0.1, 0.1, floor=0.0)
    assert float(new[0] / new[1]) == pytest.approx(float(pair[0] / pair[1]))
    before, after = float(q[0] * q[1] / q[2] ** 2), float(new[0] * new[1] / new[2] ** 2)
    assert after == pytest.approx(before)  # the mean step of the others is zero


def test_without_any_group_seen_q_stays():
    q = torch.tensor([0.2, 0.8]).double()
    torch.testing.assert_close(update_group_weights(q, torch.full((2,), math.nan), 0.1, 0.1), q)


awkward = st.sampled_from([0.0, 1e-30, 1.0, 5e3, 1e30, 1e300, math.inf, -math.inf, math.nan])


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), awkward), min_size=1, max_size=7),
    step_size=st.sampled_from([0.0, 1e-4, 1.0, 1e6]),
    smoothing=st.sampled_from([None, 0.0, 1e-3, 1.0, 1e6]),
    cap=st.sampled_from([1e-3, 1.0, 1e9, math.inf]),
    floor=st.sampled_from([None, 0.0, 1e-10]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_q_stays_on_the_simplex_whatever_the_losses(pairs, step_size, smoothing, cap, floor, dtype):
    q = torch.tensor([weight for weight, _ in pairs], dtype=dtype)
    losses = torch.tensor([loss for _, loss in pairs], dtype=torch.float64)
    assume(bool(q.any()))
    new = update_group_weights(q, losses, step_size, smoothing, cap=cap, floor=floor)
    assert new.isfinite().all() and (new >= 0).all()
    assert float(new.sum()) == pytest.approx(1.0, abs=1e-5)
    lowest = 0.01 / len(pairs) if floor is None else floor
    assert float(new.min()) >= lowest * (1 - 1e-6)


@settings(max_examples=100, deadline=None)
@given(losses=st.lists(st.floats(0, 1e4), min_size=2, max_size=9), data=st.data())
def test_the_names_of_the_groups_do_not_matter(losses, data):
    order = data.draw(st.permutations(range(len(losses))))
    q = torch.softmax(torch.arange(len(losses)).double() / 5, 0)
    loss_G = torch.tensor(losses).double()
    new = update_group_weights(q, loss_G, 1e-3, 0.1)
    torch.testing.assert_close(update_group_weights(q[order], loss_G[order], 1e-3, 0.1), new[order])


def test_equal_losses_keep_uniform_weights():
    q = torch.full((143,), 1 / 143).double()
    torch.testing.assert_close(update_group_weights(q, torch.full((143,), 7e3), 1e-3, 0.1), q)


@pytest.mark.parametrize(
    ("settings_", "word"),
    [
        ({"floor": 0.5}, "floor"),
        ({"floor": -0.1}, "floor"),
        ({"cap": 0.0}, "cap"),
        ({"cap": math.nan}, "cap"),
        ({"smoothing": -0.1}, "smoothing"),
        ({"smoothing": math.inf}, "smoothing"),
        ({"step_size": -1.0}, "step_size"),
        ({"step_size": math.nan}, "step_size"),
        ({"step_size": 1e300}, "at most 1e.20"),
        ({"step_size": True}, "step_size"),
        ({"cap": "x"}, "cap"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(settings_, word):
    arguments = {"step_size": 0.1, "smoothing": 0.1} | settings_
    with pytest.raises(UserError, match=word):
        update_group_weights(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 2.0]), **arguments)


@pytest.mark.parametrize("q", [torch.ones(3), torch.ones(2, 1), torch.ones(2, dtype=torch.int64)])
def test_weights_that_do_not_fit_the_losses_are_refused(q):
    with pytest.raises(UserError, match="one length"):
        update_group_weights(q, torch.tensor([1.0, 2.0]), 0.1, 0.1)


@pytest.mark.parametrize(
    "q",
    [[0.5, math.nan], [0.5, math.inf], [-math.inf, 0.5], [0.5, -0.1], [0.0, 0.0]],
)
def test_weights_that_are_none_are_refused(q):
    with pytest.raises(UserError, match="q_G is .* no weights to start from"):
        update_group_weights(torch.tensor(q), torch.tensor([1.0, 2.0]), 0.1, 0.1)


# The table of the specification: groups at zero weight, largest q * G.
TABLE = [
    (6, 0.1, 0, 1.8), (6, 0.5, 2, 2.6), (6, 1.0, 3, 3.2),
    (18, 0.1, 3, 2.3), (18, 0.5, 10, 4.0), (18, 1.0, 12, 5.3),
    (143, 0.1, 87, 5.1), (143, 0.5, 116, 10.0), (143, 1.0, 123, 14.0),
    (143, 0.6 / 143, 0, 1.8), (143, 3.0 / 143, 40, 2.8),
]  # fmt: skip


@pytest.mark.parametrize(("num_groups", "smoothing", "starved", "largest"), TABLE)
def test_the_fixed_point_is_that_of_the_table(num_groups, smoothing, starved, largest):
    q = fixed_point(torch.linspace(0.5, 1.5, num_groups), smoothing)
    assert float(q.sum()) == pytest.approx(1.0)
    assert int((q == 0).sum()) == starved
    assert float(q.max() * num_groups) == pytest.approx(largest, rel=0.03)


@pytest.mark.parametrize(("num_groups", "smoothing"), [row[:2] for row in TABLE])
def test_the_iteration_reaches_the_fixed_point(num_groups, smoothing):
    losses = torch.linspace(0.5, 1.5, num_groups).double()
    goal = fixed_point(losses, smoothing)
    # As large as the slowest steady group allows; the starved leave at a rate of their own.
    step_size = 0.3 / num_groups * (1 + smoothing * num_groups) ** 2
    q = torch.full((num_groups,), 1 / num_groups).double()
    for _ in range(3000):
        q = update_group_weights(q, losses, min(step_size, 0.5), smoothing, floor=1e-12)
    torch.testing.assert_close(q, goal, atol=0.03 / num_groups, rtol=0.02)


def test_the_smallest_weight_of_the_relative_smoothing_is_a_fifth_of_uniform():
    q = fixed_point(torch.linspace(0.5, 1.5, 143), 0.6 / 143)
    assert float(q.min() * 143) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("num_groups", "smoothing", "step_size", "settles"),
    [(6, 0.1, 1e-3, False), (6, 0.1, 1e-4, True), (143, 0.6 / 143, 1e-4, False),
     (143, 0.6 / 143, 0.5 / 143e3, True)],
)  # fmt: skip
def test_q_settles_where_the_bound_says_so_and_swings_elsewhere(
    num_groups, smoothing, step_size, settles
):
    losses = 1000.0 * torch.linspace(0.5, 1.5, num_groups).double()
    assert (stability(step_size, 1000.0, num_groups, smoothing) < 2) == settles
    q = torch.full((num_groups,), 1 / num_groups).double()
    for _ in range(400):
        before, q = q, update_group_weights(q, losses, step_size, smoothing, cap=1e9, floor=1e-10)
    assert (float((q - before).abs().max() * num_groups) < 0.01) == settles
