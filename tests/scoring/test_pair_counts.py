"""Edits of many pairs equal those of each pair alone, and jiwer's, whatever the batches."""

import random
from itertools import product

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.scoring import pair_counts, word_symbols
from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits
from asr_dro_plugin.scoring.pair_counts import count_pairs, count_strings

ALPHABET = "abcdeé दिल中文ё👍\U0001d11e"
TEXT = st.text(st.sampled_from("ab c\u0301é中\ud800"), max_size=20).map(
    lambda text: " ".join(text.split())
)


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


def rows(counts):
    return [EditCounts(*map(int, row)) for row in zip(*counts.columns, strict=True)]


def one_by_one(refs, hyps):
    pairs = list(zip(refs, hyps, strict=True))
    return (
        [count_edits(ref, hyp) for ref, hyp in pairs],
        [
            count_edits(ref.split(" ") if ref else [], hyp.split(" ") if hyp else [])
            for ref, hyp in pairs
        ],
    )


def test_every_pair_is_counted_as_it_is_alone():
    refs, hyps = corpus()
    chars, words = count_pairs(refs, hyps)
    assert (rows(chars), rows(words)) == one_by_one(refs, hyps)
    assert rows(count_strings(refs, hyps)) == rows(chars)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=12))
@settings(deadline=None)
def test_odd_texts_are_counted_as_they_are_alone(pairs):
    refs, hyps = [ref for ref, _ in pairs], [hyp for _, hyp in pairs]
    chars, words = count_pairs(refs, hyps)
    assert (rows(chars), rows(words)) == one_by_one(refs, hyps)


def test_words_of_all_short_texts_are_counted_as_they_are_alone():
    """Pairs that differ in one character are decided without aligning their words."""
    letters = ("".join(text) for size in range(6) for text in product("ab ", repeat=size))
    texts = sorted({" ".join(text.split()) for text in letters})
    refs, hyps = map(list, zip(*product(texts, texts), strict=True))
    chars, words = count_pairs(refs, hyps)
    assert (chars.errors == 1).sum() > 500
    assert (rows(chars), rows(words)) == one_by_one(refs, hyps)


def test_totals_and_their_kinds_are_those_of_jiwer():
    refs, hyps = corpus(seed=1)
    pairs = [(ref, hyp) for ref, hyp in zip(refs, hyps, strict=True) if ref]
    refs, hyps = map(list, zip(*pairs, strict=True))
    for mine, theirs in zip(
        count_pairs(refs, hyps),
        (jiwer.process_characters(refs, hyps), jiwer.process_words(refs, hyps)),
        strict=True,
    ):
        total = mine.total()
        assert (total.substitutions, total.deletions, total.insertions) == (
            theirs.substitutions, theirs.deletions, theirs.insertions
        )  # fmt: skip
        assert total.rate == (theirs.cer if hasattr(theirs, "cer") else theirs.wer)


def test_batches_change_nothing(monkeypatch):
    refs, hyps = corpus(300, seed=2)
    whole = [rows(counts) for counts in count_pairs(refs, hyps)]
    monkeypatch.setattr(pair_counts, "BATCH", 50)
    assert [rows(counts) for counts in count_pairs(refs, hyps)] == whole


def test_words_that_want_one_place_are_still_told_apart(monkeypatch):
    refs, hyps = corpus(200, seed=3)
    expected = rows(count_pairs(refs, hyps)[1])
    distinct = len({word for text in refs + hyps for word in text.split(" ")})
    real = word_symbols._hashes

    def crowded(*arguments):
        return real(*arguments) & np.uint64((5 << 60) | 0xFFFFFFFFFF)

    monkeypatch.setattr(word_symbols, "_hashes", crowded)
    assert rows(count_pairs(refs, hyps)[1]) == expected
    monkeypatch.setattr(word_symbols, "NUM_SPARE", 3)
    assert distinct > 3
    assert rows(count_pairs(refs, hyps)[1]) == expected


def test_a_word_is_one_symbol_and_equal_words_are_equal_symbols():
    strings, numbers = word_symbols.word_symbols(["ab a ab", "", "a", "b ab"])
    assert numbers.tolist() == [3, 0, 1, 2]
    assert list(map(len, strings)) == [3, 0, 1, 2]
    assert strings[0][0] == strings[0][2] == strings[3][1]
    assert strings[2] == strings[0][1] != strings[3][0]


def test_anagrams_and_repeats_are_different_words():
    words = ["ab", "ba", "aab", "aba", "baa", "a" * 64, "a" * 65, "b" * 64, "é", "e\u0301"]
    symbols, _ = word_symbols.word_symbols([" ".join(words)])
    assert len(set(symbols[0])) == len(words)


def test_no_two_of_many_words_are_taken_for_each_other():
    rng = random.Random(5)
    words = {"".join(rng.choices(alphabet, k=rng.randint(1, 9)))
             for alphabet in ("ab", "0123456789", "абвгд", "的一是不了人我在有他")
             for _ in range(30_000)}  # fmt: skip
    hashes = word_symbols._hashes
    codes = np.frombuffer("\n".join([*words, ""]).encode("utf-32-le"), "<u4")
    ends = np.flatnonzero(codes == 10)
    starts = np.concatenate(([0], ends[:-1] + 1))
    assert len(np.unique(hashes(codes, starts, ends))) == len(words) > 50_000


def test_sums_of_groups_add_up_to_the_total():
    refs, hyps = corpus(100, seed=4)
    counts = count_pairs(refs, hyps)[0]
    groups = np.arange(100) % 3
    found = counts.of_groups(groups, 3)
    assert sum(found, EditCounts()) == counts.total()
    assert found[1] == sum(rows(counts)[1::3], EditCounts())


@pytest.mark.parametrize("ref", ["", "a b"])
def test_rates_of_single_pairs_follow_the_rule_for_empty_references(ref):
    counts = count_pairs([ref, ref], ["", "a b"])[0]
    assert counts.rates.tolist() == [each.rate for each in rows(counts)]
