"""Edit counts equal hand values, other programs' totals, and the tie rule that is named."""

import random

import jiwer
import kaldialign
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits

TEXT = st.text(alphabet="ab c", max_size=14)
WORDS = st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=9)


@pytest.mark.parametrize(
    ("ref", "hyp", "substitutions", "deletions", "insertions"),
    [
        ("kitten", "sitting", 2, 0, 1),
        ("abc", "abc", 0, 0, 0),
        ("abc", "", 0, 3, 0),
        ("", "abc", 0, 0, 3),
        ("", "", 0, 0, 0),
        ("a b", "ab", 0, 1, 0),
        (["the", "cat", "sat"], ["a", "cat", "sat", "down"], 1, 0, 1),
        (["x"], [], 0, 1, 0),
    ],
)
def test_hand_values(ref, hyp, substitutions, deletions, insertions):
    expected = EditCounts(substitutions, deletions, insertions, len(ref))
    assert count_edits(ref, hyp) == expected


def test_counts_of_characters_equal_jiwer_and_the_total_equals_kaldialign():
    rng = random.Random(1)
    for _ in range(300):
        ref, hyp = ("".join(rng.choices("abcdé ", k=rng.randint(1, 40))) for _ in range(2))
        mine = count_edits(ref, hyp)
        assert mine.errors == kaldialign.edit_distance(ref, hyp)["total"]
        ref, hyp = f"x{ref}x", f"x{hyp}x"  # jiwer strips the ends
        mine, theirs = count_edits(ref, hyp), jiwer.process_characters(ref, hyp)
        assert (mine.substitutions, mine.deletions, mine.insertions) == (
            theirs.substitutions, theirs.deletions, theirs.insertions
        )  # fmt: skip
        assert mine.rate == theirs.cer


def test_counts_of_words_equal_jiwer_and_the_total_equals_kaldialign():
    rng = random.Random(2)
    words = ["one", "two", "three", "four"]
    for _ in range(300):
        ref = rng.choices(words, k=rng.randint(1, 15))
        hyp = rng.choices(words, k=rng.randint(0, 15))
        mine, theirs = count_edits(ref, hyp), jiwer.process_words(" ".join(ref), " ".join(hyp))
        assert (mine.substitutions, mine.deletions, mine.insertions) == (
            theirs.substitutions, theirs.deletions, theirs.insertions
        )  # fmt: skip
        assert mine.errors == kaldialign.edit_distance(ref, hyp)["total"]


@given(ref=TEXT, hyp=TEXT)
def test_the_tie_rule_is_the_one_that_the_docstring_names(ref, hyp):
    found = count_edits(ref, hyp)
    assert (found.substitutions, found.deletions, found.insertions) == by_the_named_rule(ref, hyp)


@given(ref=WORDS, hyp=WORDS)
def test_counts_agree_with_the_lengths(ref, hyp):
    found = count_edits(ref, hyp)
    assert len(hyp) - len(ref) == found.insertions - found.deletions
    assert found.substitutions + found.deletions <= found.ref == len(ref)
    assert found.errors == count_edits(hyp, ref).errors


@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=5))
@settings(max_examples=30)
def test_sums_are_sums_of_each_kind(pairs):
    counts = [count_edits(*pair) for pair in pairs]
    total = sum(counts, EditCounts())
    assert total.errors == sum(each.errors for each in counts)
    assert total.ref == sum(each.ref for each in counts)


def test_the_rate_of_an_empty_reference_is_0_or_1():
    assert count_edits("", "").rate == 0.0
    assert count_edits("", "abc").rate == 1.0


def test_many_insertions_bring_the_rate_above_1():
    assert count_edits("a", "abc").rate == 2.0


def by_the_named_rule(ref, hyp):
    """Substitutions, deletions, insertions by plain dynamic programming and the documented rule."""
    while ref and hyp and ref[0] == hyp[0]:
        ref, hyp = ref[1:], hyp[1:]
    while ref and hyp and ref[-1] == hyp[-1]:
        ref, hyp = ref[:-1], hyp[:-1]
    cost = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(hyp) + 1)]
            for i in range(len(ref) + 1)]  # fmt: skip
    for i in range(1, len(ref) + 1):
        for j in range(1, len(hyp) + 1):
            cost[i][j] = min(
                cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                cost[i - 1][j - 1] + (ref[i - 1] != hyp[j - 1]),
            )  # fmt: skip
    i, j, found = len(ref), len(hyp), [0, 0, 0]
    while i or j:
        here = cost[i][j]
        diagonal = cost[i - 1][j - 1] if i and j else None
        if i and here == cost[i - 1][j] + 1:
            i, kind = i - 1, 1
        elif diagonal is not None and here == diagonal + 1:
            i, j, kind = i - 1, j - 1, 0
        elif j and here == cost[i][j - 1] + 1:
            j, kind = j - 1, 2
        else:
            i, j = i - 1, j - 1
            continue
        found[kind] += 1
    return tuple(found)
