import logging
import math

import numpy as np
import pytest

from asr_dro_plugin.decoding import build
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from tests.decoding.brute import all_prefixes, random_frames

TOKENS = ["<blank>", "<unk>", "[deu]", "[eng]", "[fra]", "<space>", "a", "b", "<sos/eos>"]


def build_decoder(config, *rest, **more):
    """As ``build.build_decoder``, of a configuration that names few keys."""
    return build.build_decoder(read_decode_config(config), *rest, **more)


def frames(*words):
    """Frames that are 0.9 sure of these symbols, (1, T, V); "x y:0.3" adds a second symbol."""
    probs = np.full((1, len(words), len(TOKENS)), 0.001)
    for t, word in enumerate(words):
        for part in word.split():
            token, _, share = part.partition(":")
            probs[0, t, TOKENS.index(token)] = float(share or 0.9)
    return np.log(probs / probs.sum(-1, keepdims=True)).astype(np.float32)


def decoded(log_probs, langs=None, mode="greedy", **config):
    decoder = build_decoder({"mode": mode, **config}, TOKENS, "char", 0)
    emission = Emission(log_probs, np.full(len(log_probs), log_probs.shape[1]), 0.02, 0, TOKENS)
    return [[TOKENS[i] for i in paths[0].ids] for paths in decoder(emission, langs)]


SPOKEN = frames("[eng] [fra]:0.4", "<blank>", "<space>", "a", "<blank>", "b")


@pytest.mark.parametrize("mode", ["greedy", "beam"])
@pytest.mark.parametrize(
    ("lang", "given", "tag"),
    [
        ("free", None, "[eng]"),
        ("forced", ["deu"], "[deu]"),
        ("forced", ["eng"], "[eng]"),
        ("deu fra", None, "[fra]"),
        ("deu", None, "[deu]"),
    ],
)
def test_the_tag_is_free_restricted_or_given(mode, lang, given, tag):
    assert decoded(SPOKEN, given, mode, lang=lang) == [[tag, "<space>", "a", "b"]]


def test_a_forced_tag_stands_there_though_the_model_heard_none():
    silent = frames("<blank>", "a", "b")
    assert decoded(silent, ["fra"], lang="forced") == [["[fra]", "a", "b"]]


def test_a_forced_tag_is_the_only_one():
    twice = frames("[eng]", "a", "[deu]", "b")
    assert decoded(twice, ["eng"], lang="forced") == [["[eng]", "a", "b"]]


def test_the_score_of_a_tag_is_the_probability_that_it_is_the_first_label():
    rng = np.random.default_rng(0)
    tokens = ["<blank>", "[deu]", "a", "[eng]"]
    for _ in range(20):
        log_probs = random_frames(rng, 1, 4, 4)
        scores = LanguageChoice("free", tokens, 0).scores(log_probs, np.array([4]))[0]
        for column, score in zip((1, 3), scores, strict=True):
            mass = sum(m for ids, m in all_prefixes(log_probs[0], 0) if ids[:1] == (column,))
            assert score == pytest.approx(math.log(mass), abs=1e-5)


def test_frames_past_the_length_decide_nothing():
    log_probs = frames("<blank>", "<blank> [eng]:0.02", "[deu]")
    choice = LanguageChoice("free", TOKENS, 0)
    decided = [TOKENS[choice.decide(log_probs, np.array([n]))[0]] for n in (2, 3)]
    assert decided == ["[eng]", "[deu]"]
    assert np.isneginf(choice.scores(log_probs, np.array([0]))).all()


def test_every_utterance_has_its_own_given_language():
    both = np.concatenate([SPOKEN, SPOKEN])
    found = decoded(both, ["fra", "deu"], "beam", lang="forced")
    assert [ids[0] for ids in found] == ["[fra]", "[deu]"]


def test_an_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="no language 'rus'.*Known: deu eng fra"):
        build_decoder({"lang": "eng rus"}, TOKENS, "char", 0)
    with pytest.raises(UserError, match="no language 'rus'"):
        decoded(SPOKEN, ["rus"], lang="forced")


def test_forced_without_a_language_is_refused():
    for given in (None, [None]):
        with pytest.raises(UserError, match="Add utt2lang"):
            decoded(SPOKEN, given, lang="forced")


def test_a_model_without_tags_ignores_the_choice_with_one_warning(caplog):
    tokens = ["<blank>", "a", "b"]
    with caplog.at_level(logging.WARNING):
        decoder = build_decoder({"lang": "eng"}, tokens, "char", 0)
        emission = Emission(random_frames(np.random.default_rng(0), 2, 5, 3), np.array([5, 4]),
                            0.02, 0, tokens)  # fmt: skip
        decoder(emission, ["eng", "eng"])
        decoder(emission)
    assert [r.getMessage() for r in caplog.records] == [
        "The model has no language tags: lang eng is ignored."
    ]


def test_greedy_scores_are_those_of_the_best_path():
    log_probs = random_frames(np.random.default_rng(5), 2, 7, len(TOKENS))
    emission = Emission(log_probs, np.array([7, 3]), 0.02, 0, TOKENS)
    decoder = build_decoder({}, TOKENS, "char", 0)
    best = log_probs.max(-1)
    scores = [paths[0].score for paths in decoder(emission)]
    assert scores == pytest.approx([best[0].sum(), best[1, :3].sum()], rel=1e-5)


@pytest.mark.parametrize("mode", ["greedy", "beam"])
def test_a_decoder_of_one_language_is_another_decoder(mode):
    decoder = build_decoder({"mode": mode}, TOKENS, "char", 0)
    emission = Emission(SPOKEN, np.array([SPOKEN.shape[1]]), 0.02, 0, TOKENS)
    french = decoder.of_one_language("fra")
    assert [TOKENS[each(emission)[0][0].ids[0]] for each in (french, decoder)] == ["[fra]", "[eng]"]
