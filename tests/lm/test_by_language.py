import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.lm.by_language import FOLDS, FoldCounts, choose

JOINT, OTHER, FAR = (0.5, 0.0, 0.0), (1.0, 0.0, 0.0), (1.5, 2.0, 1.0)


def counts(errors, chars=30):
    """One utterance a number of errors, each of so many characters."""
    errors = np.asarray(errors)
    return FoldCounts.of(np.stack([errors, np.full(len(errors), chars)] * 2, 1))


def chosen(table, **changes):
    return choose("eng", table, JOINT, **{"min_chars": 0, "min_utts": 0, **changes})


def test_a_gain_on_every_utterance_is_taken():
    found = chosen({JOINT: counts([5] * 40), OTHER: counts([3] * 40), FAR: counts([4] * 40)})
    assert (found.point, found.reason) == (OTHER, "")
    assert (found.joint, found.own, found.held_out) == pytest.approx((5 / 30, 0.1, 0.1))
    assert (found.num_utts, found.num_chars) == (40, 1200)


def test_a_gain_from_one_utterance_alone_is_not():
    found = chosen({JOINT: counts([5] * 40), OTHER: counts([0, *[5] * 39])})
    assert found.point == JOINT and "does not hold on held-out" in found.reason
    assert found.own < found.joint == found.held_out


@pytest.mark.parametrize(
    ("floor", "reason"),
    [
        ({"min_chars": 1201}, "1,200 characters are fewer than 1,201"),
        ({"min_utts": 41}, "40 utterances are fewer than 41"),
        ({"min_chars": 1200, "min_utts": 40}, ""),
    ],
)
def test_below_the_floor_of_evidence_the_joint_weights_are_kept(floor, reason):
    found = chosen({JOINT: counts([5] * 40), OTHER: counts([3] * 40)}, **floor)
    assert (found.reason, found.has_evidence) == (reason, not reason)
    assert found.point == (JOINT if reason else OTHER)


def test_chance_alone_seldom_gives_a_language_weights_of_its_own():
    """Thirty weights that are all as good as each other, a hundred times."""
    rng, taken = np.random.default_rng(1), 0
    for _ in range(100):
        same = rng.poisson(3, 60)
        points = {(float(i), 0.0, 0.0): counts(rng.binomial(same, 0.9)) for i in range(30)}
        joint = min(points, key=lambda p: points[p].rate("cer"))  # as chosen over all languages
        points |= {JOINT: points[joint]}
        taken += not chosen(points).reason
    assert taken <= 20


tables = st.lists(
    st.lists(st.integers(0, 9), min_size=30, max_size=30), min_size=1, max_size=6
).map(lambda rows: {(0.5 + number, 0.0, 0.0): counts(row) for number, row in enumerate(rows)})


@given(tables)
@settings(max_examples=60, deadline=None)
def test_own_weights_are_never_worse_on_the_set_nor_on_what_was_held_out(table):
    found = chosen(table)
    assert found.own <= found.joint and found.own <= found.held_out + 1e-12
    assert (found.point == JOINT) == bool(found.reason)
    if not found.reason:
        assert found.own < found.joint and found.held_out < found.joint
        assert table[found.point].rate("cer") == found.own


@given(tables)
@settings(max_examples=20, deadline=None)
def test_weights_that_change_nothing_are_left_alone(table):
    same = dict.fromkeys(table, table[JOINT])
    assert chosen(same).reason == "they are the best"


@given(st.lists(st.tuples(*[st.integers(0, 99)] * 4), max_size=40))
def test_counts_survive_their_file(rows):
    found = FoldCounts.of(np.array(rows, int).reshape(-1, 4))
    again = FoldCounts.read(str(found))
    assert str(again) == str(found) and len(again.utts) == FOLDS
    assert [c.sum() for c in (again.cer_errors, again.wer_ref)] == [
        sum(row[0] for row in rows), sum(row[3] for row in rows)
    ]  # fmt: skip


def test_the_criterion_may_be_words():
    table = {JOINT: counts([5] * 40), OTHER: counts([5] * 40)}
    object.__setattr__(table[OTHER], "wer_errors", table[OTHER].wer_errors - 4)
    assert chosen(table).point == JOINT and chosen(table, metric="wer").point == OTHER
