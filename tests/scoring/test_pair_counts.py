"""Edits of many pairs are those of each pair, and jiwer's."""

import random

import jiwer
import numpy as np
import pytest

from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits, count_pairs

ALPHABET = "abcdeé दिल中文ё👍\U0001d11e"


def sentence(rng, longest=12, alphabet=ALPHABET):
    words = (
        "".join(rng.choices(alphabet, k=rng.randint(1, 4))) for _ in range(rng.randint(0, longest))
    )
    return " ".join(" ".join(words).split())


def changed(rng, text, rate):
    """The text with characters deleted, inserted and replaced."""
    chars = []
    for char in text:
        kind = rng.random() / rate
        chars += (
            ["", rng.choice(ALPHABET), char + rng.choice(ALPHABET)][int(kind * 3)]
            if kind < 1
            else char
        )
    return " ".join("".join(chars).split())


def corpus(num=2000, seed=0, rate=0.3):
    rng = random.Random(seed)
    refs = [sentence(rng) for _ in range(num)]
    return refs, [changed(rng, ref, rng.choice([0.02, rate, 1.0])) for ref in refs]


def split(texts):
    return [text.split() for text in texts]


def rows(counts):
    return [EditCounts(*map(int, row)) for row in zip(*counts.columns, strict=True)]


def test_every_pair_is_counted_as_it_is_alone():
    refs, hyps = corpus()
    assert rows(count_pairs(refs, hyps)) == list(map(count_edits, refs, hyps))
    assert rows(count_pairs([], [])) == []


def test_totals_and_their_kinds_are_those_of_jiwer():
    refs, hyps = corpus(seed=1)
    pairs = [(ref, hyp) for ref, hyp in zip(refs, hyps, strict=True) if ref]
    refs, hyps = map(list, zip(*pairs, strict=True))
    for mine, theirs in zip(
        (count_pairs(refs, hyps), count_pairs(split(refs), split(hyps))),
        (jiwer.process_characters(refs, hyps), jiwer.process_words(refs, hyps)),
        strict=True,
    ):
        total = mine.total()
        assert (total.substitutions, total.deletions, total.insertions) == (
            theirs.substitutions, theirs.deletions, theirs.insertions
        )  # fmt: skip
        assert total.rate == (theirs.cer if hasattr(theirs, "cer") else theirs.wer)


def test_sums_of_groups_add_up_to_the_total():
    refs, hyps = corpus(100, seed=4)
    counts = count_pairs(refs, hyps)
    groups = np.arange(100) % 3
    found = counts.of_groups(groups, 3)
    assert sum(found, EditCounts()) == counts.total()
    assert found[1] == sum(rows(counts)[1::3], EditCounts())


@pytest.mark.parametrize("ref", ["", "a b"])
def test_rates_of_single_pairs_follow_the_rule_for_empty_references(ref):
    counts = count_pairs([ref, ref], ["", "a b"])
    assert counts.rates.tolist() == [each.rate for each in rows(counts)]
