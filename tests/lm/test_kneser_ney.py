"""The estimator against the definitions, against KenLM's reader, and against lmplz."""

import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.lm.kneser_ney import FALLBACK, discounts_of
from asr_dro_plugin.lm.programs import is_installed, run_lmplz
from tests.lm.plain import PlainKneserNey, log_prob, model_of, read_arpa, score

SENTENCES = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8
)
PRUNING = st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 1, 2)])


def long_enough(sentences, order, prune):
    """Whether some n-gram of the highest order is there and kept."""
    least = prune[min(order, len(prune)) - 1] if order > 1 else 0
    return any(count > least for count in PlainKneserNey(sentences, order).raw[order].values())


@pytest.fixture(scope="module")
def zipf():
    """2,000 sentences in which a word is the rarer the higher its number, like real text."""
    rng = random.Random(0)
    words = [f"w{number}" for number in range(400)]
    weights = [1 / (number + 1) for number in range(400)]
    return [" ".join(rng.choices(words, weights, k=rng.randint(1, 9))) for _ in range(2000)]


@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.integers(1, 4), PRUNING)
def test_probabilities_are_those_of_the_definition_and_sum_to_one(sentences, order, prune):
    if not long_enough(sentences, order, prune):
        return
    with tempfile.TemporaryDirectory() as folder:
        arpa = model_of(sentences, order, Path(folder), prune)
    plain = PlainKneserNey(sentences, order, prune)
    for context in plain.contexts():
        probs = {word: 10 ** log_prob(arpa, order, context, word) for word in plain.words}
        assert sum(probs.values()) == pytest.approx(1, abs=1e-5)
        wanted = {word: plain.prob(word, context) for word in plain.words}
        assert probs == pytest.approx(wanted, rel=1e-5)


def test_the_discounts_of_a_large_text_are_its_own(zipf, tmp_path):
    plain = PlainKneserNey(zipf, 3)
    for n, counts in plain.adjusted.items():
        found = discounts_of(np.array(list(counts.values())))
        assert not found.fallback
        assert found.values == pytest.approx(plain.discounts[n])


@pytest.mark.parametrize(
    "counts",
    [
        [1, 1, 2, 5],  # no count is 3
        [1] * 9 + [2] + [3] * 9,  # D2 would be below 0
        [1, 1, 1, 2, 3] + [4] * 9,  # D3 would be below 0
        [2, 3, 4],
        [0],
    ],
)
def test_discounts_that_the_text_does_not_yield_fall_back(counts):
    found = discounts_of(np.array(counts))
    assert (found.values, found.fallback) == (FALLBACK, True)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("prune", [(0,), (0, 0, 1)])
def test_kenlm_scores_as_the_arpa_format_defines(zipf, tmp_path, order, prune):
    kenlm = pytest.importorskip("kenlm", reason="needs the extra lm")
    arpa = model_of(zipf, order, tmp_path, prune[:order])
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    model = kenlm.Model(str(tmp_path / "lm.arpa.gz"), config)
    assert model.order == max(order, 2)
    for sentence in [*zipf[:50], "w1", "never seen", "w399 never w398 w1"]:
        assert model.score(sentence) == pytest.approx(
            score(arpa, order, sentence.split()), abs=1e-4
        )


def test_the_file_is_the_same_byte_by_byte_each_time(zipf, tmp_path):
    model_of(zipf, 3, tmp_path)
    first = (tmp_path / "lm.arpa.gz").read_bytes()
    model_of(zipf, 3, tmp_path)
    assert (tmp_path / "lm.arpa.gz").read_bytes() == first


def test_n_grams_are_those_of_the_text_and_stand_sorted(zipf, tmp_path):
    grams = list(model_of(zipf, 3, tmp_path))
    plain = PlainKneserNey(zipf, 3)
    for n in (2, 3):
        found = [gram for gram in grams if len(gram) == n]
        assert set(found) == set(plain.raw[n])
        order = {"<s>": 0, "</s>": 1}
        assert found == sorted(found, key=lambda g: [(order.get(w, 2), w) for w in g])


def test_a_pruned_n_gram_is_gone_and_every_other_is_there(zipf, tmp_path):
    plain = PlainKneserNey(zipf, 3)
    grams = set(model_of(zipf, 3, tmp_path, (0, 1, 2)))
    for n, least in ((1, 0), (2, 1), (3, 2)):
        wanted = {gram for gram, count in plain.raw[n].items() if count > least}
        assert {gram for gram in grams if len(gram) == n} - {("<unk>",)} == wanted


@pytest.mark.skipif(not is_installed("lmplz"), reason="KenLM's lmplz is not on PATH")
@pytest.mark.parametrize("prune", [(0,), (0, 0, 1), (0, 1, 2)])
def test_the_model_is_that_of_lmplz(zipf, tmp_path, prune):
    ours = model_of(zipf, 3, tmp_path, prune)
    run_lmplz(tmp_path / "text.txt", tmp_path / "theirs.arpa", 3, prune)
    subprocess.run(["gzip", tmp_path / "theirs.arpa"], check=True)
    theirs = read_arpa(tmp_path / "theirs.arpa.gz")
    assert ours.keys() == theirs.keys()
    for gram, wanted in theirs.items():
        assert ours[gram] == pytest.approx(wanted, abs=2e-6)
