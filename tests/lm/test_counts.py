"""Texts as ids, and n-grams as ranks."""

import numpy as np
import pytest

from asr_dro_plugin.lm.counts import count_ngrams, encode, symbols_of, word_ids


def written(folder, *lines):
    (folder / "text").write_text("".join(line + "\n" for line in lines), "utf-8", newline="\n")
    return folder / "text"


def test_ids_follow_the_words_code_points_whatever_their_order_in_the_text(tmp_path):
    corpus = encode(written(tmp_path, "żuk b", "a b"), "word")
    assert corpus.words == ["<unk>", "<s>", "</s>", "a", "b", "żuk"]
    assert corpus.ids.tolist() == [1, 5, 4, 2, 1, 3, 4, 2]
    assert (corpus.num_sentences, corpus.num_tokens) == (2, 4)


def test_characters_are_code_points_and_the_space_has_its_name(tmp_path):
    corpus = encode(written(tmp_path, "ab a", "日本"), "char")
    assert corpus.words[3:] == ["<space>", "a", "b", "日", "本"]
    assert corpus.ids.tolist() == [1, 4, 5, 3, 4, 2, 1, 6, 7, 2]
    assert symbols_of("ab a", "char") == ["a", "b", "<space>", "a"]
    assert symbols_of("ab a", "word") == ["ab", "a"]


def test_n_grams_end_with_their_sentence_and_know_their_parts(tmp_path):
    corpus = encode(written(tmp_path, "a b", "b", "a b"), "word")
    _, bigrams, trigrams = count_ngrams(corpus, 3)
    words = word_ids(corpus, bigrams.first, 2)
    named = [" ".join(corpus.words[index] for index in gram) for gram in words]
    assert named == ["<s> a", "<s> b", "a b", "b </s>"]
    assert bigrams.count.tolist() == [2, 1, 2, 3]
    assert bigrams.adjusted.tolist() == [2, 1, 1, 2]  # <s> has its own count, others their left
    assert trigrams.prefix.tolist() == [0, 1, 2]  # <s> a b, <s> b </s>, a b </s>
    assert trigrams.suffix.tolist() == [2, 3, 3]
    assert trigrams.adjusted.tolist() == trigrams.count.tolist() == [2, 1, 2]


def test_the_beginning_of_a_sentence_is_never_predicted(tmp_path):
    corpus = encode(written(tmp_path, "a a", "a"), "word")
    (unigrams,) = count_ngrams(corpus, 1)
    assert unigrams.adjusted.tolist() == [0, 0, 2, 3]
    unigrams, _ = count_ngrams(corpus, 2)
    assert unigrams.adjusted.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("order", [2, 4, 9])
def test_a_text_without_long_sentences_has_no_long_n_grams(tmp_path, order):
    corpus = encode(written(tmp_path, "a", "b c"), "word")
    assert len(list(count_ngrams(corpus, order))) == min(order, 4)


def test_every_position_is_counted_once(tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(map(str, rng.integers(9, size=rng.integers(1, 12)))) for _ in range(200)]
    corpus = encode(written(tmp_path, *lines), "word")
    for length, counts in enumerate(count_ngrams(corpus, 4), 1):
        places = sum(max(0, len(line.split()) + 3 - length) for line in lines)
        assert counts.count.sum() == places
