"""The search with a language model against the sum over all paths, weighed by KenLM itself."""

import kenlm
import numpy as np
import pytest

from asr_dro_plugin.decoding.lm_scorers import LN10, NGram, TokenScorer, WordScorer
from asr_dro_plugin.decoding.lm_spelling import Lexicon, OpenLexicon, Spelling
from asr_dro_plugin.decoding.prefix_beam import search
from asr_dro_plugin.decoding.search_frames import search_frames
from asr_dro_plugin.decoding.weights import Weights
from asr_dro_plugin.lm.programs import silent_stderr
from tests.decoding.brute import all_prefixes, random_frames

WORDS = ["a", "ab", "ba"]
ARPA = """\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.3
-1.2\t</s>\t0
-0.7\t{0}\t-0.2
-1.1\t{1}\t-0.2
-0.9\t{2}\t-0.3

\\2-grams:
-0.2\t<s> {2}
-0.3\t{2} {0}
-0.1\t{0} </s>

\\end\\
"""
TOKENS = {
    "char": ["<blank>", "a", "b", "<space>"],
    "bpe": ["a", "<blank>", "▁a", "b", "▁"],
    "word": ["a", "ab", "ba", "zz", "<blank>"],
}


@pytest.fixture(scope="module")
def arpas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    (folder / "word.arpa").write_text(ARPA.format(*WORDS))
    (folder / "char.arpa").write_text(ARPA.format("a", "<space>", "b"))
    return folder


def scorer_of(kind, path, spelling, weights):
    lm = NGram(path)
    if kind == "char":
        units = [spelling.units(i) if use else () for i, use in enumerate(spelling.is_text)]
        return TokenScorer(lm, units, weights)
    lexicon = (Lexicon if kind == "lexicon" else OpenLexicon)(WORDS, spelling)
    return WordScorer(lm, lexicon, spelling, weights)


def bonus(kind, model, spelling, ids, weights):
    """(bonus, log probability) of a text by KenLM's own sentence score, None outside a lexicon."""
    if kind == "char":
        units = [unit for token in ids for unit in spelling.units(token)]
        spoken = list(units)
        while spoken[:1] == ["<space>"]:
            del spoken[0]
    else:
        text = "".join(" " * bool(spelling.starts[i]) + spelling.texts[i] for i in ids)
        units = spoken = text.split()
        if kind == "lexicon" and not set(units) <= set(WORDS):
            return None
    log_prob = model.score(" ".join(spoken)) * LN10
    unknown = sum(unit not in model for unit in units)
    return weights.gain(log_prob, len(units), unknown), log_prob


@pytest.mark.parametrize("token_type", TOKENS)
@pytest.mark.parametrize("kind", ["char", "lexicon", "open"])
def test_a_wide_beam_finds_the_best_text_under_both_models(arpas, kind, token_type):
    tokens = TOKENS[token_type]
    spelling = Spelling.of(tokens, token_type, tokens.index("<blank>"))
    path = arpas / ("char.arpa" if kind == "char" else "word.arpa")
    with silent_stderr():
        model = kenlm.Model(str(path))
    rng = np.random.default_rng(len(kind) + len(token_type))
    for _ in range(12):
        unk_score = 0.0 if kind == "lexicon" else rng.choice([0.0, -2.0, 0.5])
        weights = Weights(rng.choice([0.0, 0.5, 1.3]), rng.choice([-1.0, 0.0, 0.7]), unk_score)
        scorer = scorer_of(kind, path, spelling, weights)
        num_frames, blank_id = int(rng.integers(1, 5)), tokens.index("<blank>")
        log_probs = random_frames(rng, 1, num_frames, len(tokens))
        frames = search_frames(log_probs, np.array([num_frames]), blank_id, None, 1.0)
        found = search(frames, 1000, 10, scorer=scorer)[0]
        wanted = []
        for ids, mass in all_prefixes(log_probs[0], blank_id):
            if (given := bonus(kind, model, spelling, ids, weights)) is not None:
                wanted.append((np.log(mass) + given[0], np.log(mass), given[1], ids))
        wanted.sort(reverse=True)
        assert found[0].ids == wanted[0][3]
        for prefix, (score, am, lm, _) in zip(found, wanted):
            ours = [prefix.score, prefix.am_score, prefix.lm_score]
            assert ours == pytest.approx([score, am, lm], abs=1e-4)


def test_a_narrow_beam_finds_no_better_text_than_a_wide_one(arpas):
    tokens = TOKENS["char"]
    spelling, rng = Spelling.of(tokens, "char", 0), np.random.default_rng(9)
    frames = search_frames(random_frames(rng, 6, 14, 4), np.full(6, 14), 0, None, 1.0)
    scorer = scorer_of("open", arpas / "word.arpa", spelling, Weights(0.8, 0.3))
    wide, narrow = (search(frames, size, 1, scorer=scorer) for size in (400, 5))
    for one, other in zip(wide, narrow, strict=True):
        assert one[0].score >= other[0].score - 1e-6


def test_other_weights_are_those_of_a_new_scorer(arpas):
    tokens = TOKENS["char"]
    spelling, rng = Spelling.of(tokens, "char", 0), np.random.default_rng(2)
    frames = search_frames(random_frames(rng, 3, 10, 4), np.full(3, 10), 0, None, 1.0)
    for kind, name in (("char", "char"), ("lexicon", "word"), ("open", "word")):
        scorer = scorer_of(kind, arpas / f"{name}.arpa", spelling, Weights(0.0, 0.0))
        search(frames, 20, 3, scorer=scorer)
        scorer.reweigh(Weights(1.0, -0.5))
        again = search(frames, 20, 3, scorer=scorer)
        fresh = scorer_of(kind, arpas / f"{name}.arpa", spelling, Weights(1.0, -0.5))
        assert again == search(frames, 20, 3, scorer=fresh)


def test_caches_that_are_full_are_begun_anew_and_change_nothing(arpas, monkeypatch):
    tokens = TOKENS["char"]
    spelling, rng = Spelling.of(tokens, "char", 0), np.random.default_rng(3)
    frames = search_frames(random_frames(rng, 3, 10, 4), np.full(3, 10), 0, None, 1.0)
    for kind, name in (("char", "char"), ("open", "word")):
        scorer = scorer_of(kind, arpas / f"{name}.arpa", spelling, Weights(0.5, 0.5))
        first = search(frames, 20, 3, scorer=scorer)
        monkeypatch.setattr("asr_dro_plugin.decoding.lm_scorers.MAX_CACHED", 0)
        assert search(frames, 20, 3, scorer=scorer) == first
        assert search(frames, 20, 3, scorer=scorer) == first
        monkeypatch.undo()


def test_a_lexicon_takes_every_segmentation_and_lists_what_it_cannot_spell():
    tokens = ["<blank>", "▁", "▁a", "b", "ab", "a"]
    lexicon = Lexicon(["ab", "aab", "abc", "b"], Spelling.of(tokens, "bpe", 0))
    assert lexicon.left_out == ["abc"] and lexicon.num_words == 3
    ends = set()
    for pieces in (["▁", "ab"], ["▁a", "b"], ["▁", "a", "b"]):
        node = np.array([0])
        for piece in pieces:
            node = lexicon.child(node, np.array([tokens.index(piece)]))
        ends.add(lexicon.word(int(node[0])))
    assert ends == {"ab"}
    assert lexicon.child(np.array([0]), np.array([tokens.index("ab")]))[0] >= 0
    node = lexicon.child(np.array([0]), np.array([tokens.index("b")]))
    assert lexicon.child(node, np.array([tokens.index("b")])).tolist() == [-1]
