"""The blank's penalty, and weights by language, in every kind of search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.build import build_decoder, decoder_for
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.decoding.search_frames import search_frames
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from tests.decoding.brute import all_prefixes, random_frames
from tests.decoding.test_lm_decoder import ARPA, PLAIN, SEE, TAGGED, frames, write_lm

SEARCHES = {
    "greedy": {"mode": "greedy"},
    "beam": {"mode": "beam", "beam_size_token": None},
    "flashlight": {"mode": "lm"},
    "fused": {"mode": "lm", "lexicon": False},
}
TAGS = slice(2, 4)


@pytest.fixture(scope="module")
def lm_dir(tmp_path_factory):
    return write_lm(tmp_path_factory.mktemp("lm"))


@pytest.fixture(scope="module")
def chars(tmp_path_factory):
    """An n-gram over characters."""
    arpa = ARPA.replace("the", "s").replace("sea", "e").replace("see", "a").replace("se\t", "t\t")
    return write_lm(tmp_path_factory.mktemp("chars"), arpa=arpa, words=list("seat"), unit="char")


def decoder_of(config, lm_dir, tokens=TAGGED, blank_id=0):
    config = read_decode_config(config)
    return build_decoder(
        config, tokens, "char", blank_id, lm_dir if config["mode"] == "lm" else None
    )


def emission_of(log_probs, tokens=TAGGED, blank_id=0):
    lengths = np.full(len(log_probs), log_probs.shape[1])
    return Emission(log_probs, lengths, 0.02, blank_id, tokens)


def spoken(seed, num=3, num_frames=8):
    """Random utterances of the tagged model, whose first frame is a tag; (N, T, V)."""
    rng = np.random.default_rng(seed)
    log_probs = random_frames(rng, num, num_frames, len(TAGGED))
    log_probs[:, 0], log_probs[:, 1:, TAGS] = -12.0, -12.0
    log_probs[np.arange(num), 0, rng.integers(2, 4, num)] = -0.001
    return log_probs


@pytest.mark.parametrize("kind", SEARCHES)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.7]))
def test_a_languages_weights_that_equal_the_joint_ones_change_nothing(kind, lm_dir, seed, penalty):
    config = {**SEARCHES[kind], "blank_penalty": penalty}
    own = {"blank_penalty": penalty} | ({"lm_weight": 0.5} if config["mode"] == "lm" else {})
    emission = emission_of(spoken(seed))
    joint = decoder_of(config, lm_dir)(emission)
    assert decoder_of({**config, "by_language": {"eng": own}}, lm_dir)(emission) == joint
    assert decoder_of({**config, "by_language": {"deu": {}}}, lm_dir)(emission) == joint
    if not penalty:
        assert decoder_of(SEARCHES[kind], lm_dir)(emission) == joint


@pytest.mark.parametrize("kind", SEARCHES)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3, width=32))
def test_each_utterance_of_a_batch_is_searched_with_its_own_languages_weights(
    kind, lm_dir, seed, penalty
):
    """As if the others were not there, and as if its weights were the joint ones."""
    config, log_probs = {**SEARCHES[kind], "lang": "deu eng"}, spoken(seed, num=4)
    own = {"blank_penalty": penalty} | ({"lm_weight": 0.1} if config["mode"] == "lm" else {})
    mixed = decoder_of({**config, "by_language": {"deu": own}}, lm_dir)(emission_of(log_probs))
    for row, paths in enumerate(mixed):
        weights = own if log_probs[row, 0, 2] > -1 else {}
        alone = decoder_of({**config, **weights}, lm_dir)(emission_of(log_probs[[row]]))[0]
        assert [path.ids for path in alone] == [path.ids for path in paths]
        assert alone[0].score == pytest.approx(paths[0].score, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3, width=32))
def test_the_penalty_is_what_the_blank_loses_in_every_frame(seed, penalty):
    log_probs = random_frames(np.random.default_rng(seed), 1, 4, 3)
    lowered = log_probs.copy()
    lowered[:, :, 2] -= np.float32(penalty)
    wide = {"mode": "beam", "beam_size": 200, "beam_size_token": None, "blank_threshold": 1.0}
    config = {**wide, "beam_threshold": 1e4, "blank_penalty": penalty}
    emission = emission_of(log_probs, "ab_", 2)
    path = decoder_of(config, None, "ab_", 2)(emission)[0][0]
    best = all_prefixes(lowered[0], 2)[0]
    assert path.score == pytest.approx(np.log(best[1]), abs=1e-4)
    greedy = decoder_of({"blank_penalty": penalty}, None, "ab_", 2)(emission)[0][0]
    assert greedy.score == pytest.approx(lowered[0].max(-1).sum(), abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(-5, 5, width=32))
@settings(max_examples=30, deadline=None)
def test_a_penalty_does_not_change_which_frames_are_searched(seed, penalty):
    log_probs = random_frames(np.random.default_rng(seed), 2, 12, 4)
    plain, lowered = (
        search_frames(log_probs, np.array([12, 9]), 0, 2, 0.6, p) for p in (0, penalty)
    )
    assert (plain.lengths == lowered.lengths).all() and (plain.parted == lowered.parted).all()
    left_out = np.array([12, 9])[plain.order] - plain.lengths
    assert lowered.certain == pytest.approx(plain.certain - penalty * left_out, abs=1e-4)


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_letter_that_the_blank_hides_is_heard_with_a_penalty(kind, lm_dir):
    hidden = frames(PLAIN, "s", "e:0.3 <blank>:0.65", "a:0.4 <blank>:0.6")
    found = []
    for penalty in (0.0, 2.0):
        config = {**SEARCHES[kind], "blank_penalty": penalty}
        config |= {"lm_weight": 0.0} if config["mode"] == "lm" else {}
        path = decoder_of(config, lm_dir, PLAIN, 6)(emission_of(hidden, PLAIN, 6))[0][0]
        found.append("".join(PLAIN[i] for i in path.ids))
    assert found[1] == "sea" and len(found[0]) < 3


def test_the_language_is_decided_before_the_penalty(lm_dir):
    doubtful = frames(TAGGED, "[eng]:0.3 [deu]:0.2 <blank>:0.5", "<space>", *SEE)
    for kind in SEARCHES:
        config = {**SEARCHES[kind], "blank_penalty": 5.0}
        path = decoder_of(config, lm_dir)(emission_of(doubtful))[0][0]
        assert TAGGED[path.ids[0]] == "[eng]"


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3, width=32))
@settings(max_examples=20, deadline=None)
def test_a_penalty_on_logits_that_are_normalised_again_gives_the_same_texts(seed, penalty):
    """As icefall and sherpa-onnx do it."""
    log_probs = random_frames(np.random.default_rng(seed), 2, 8, 4)
    again = log_probs.copy()
    again[:, :, 0] -= np.float32(penalty)
    again -= np.logaddexp.reduce(again, axis=-1, keepdims=True)
    for mode in ({}, {"mode": "beam", "beam_size_token": None, "blank_threshold": 1.0}):
        ours = decoder_of({**mode, "blank_penalty": penalty}, None, "_abc")
        theirs = decoder_of(mode, None, "_abc")
        one, other = ours(emission_of(log_probs, "_abc")), theirs(emission_of(again, "_abc"))
        assert [paths[0].ids for paths in one] == [paths[0].ids for paths in other]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_a_character_model_without_weight_is_no_language_model(chars, seed):
    log_probs, wide = spoken(seed), {"beam_size": 50, "beam_size_token": None, "lang": "deu eng"}
    weightless = {"mode": "lm", "lm_unit": "char", "lm_weight": 0.0, "word_score": 0.0}
    log_probs[:, :, [1, 4, -1]] = -12.0  # what is no letter
    found = [
        [paths[0].ids for paths in decoder_of({**wide, **more}, chars)(emission_of(log_probs))]
        for more in ({"mode": "beam"}, weightless)
    ]
    assert found[0] == found[1]


def test_a_recordings_one_language_brings_its_weights(lm_dir):
    """As ``transcribe`` decides it over all pieces of a long recording."""
    both = frames(TAGGED, "[eng]:0.5 [deu]:0.4", "<space>", *SEE)
    config = {"mode": "lm", "by_language": {"deu": {"lm_weight": 0.0}}}
    decoder = decoder_of(config, lm_dir)
    for lang, text in (("eng", "sea"), ("deu", "see"), ("eng", "sea")):
        path = decoder.of_one_language(lang)(emission_of(both))[0][0]
        assert "".join(TAGGED[i] for i in path.ids[-3:]) == text


def test_a_model_without_tags_goes_by_the_language_that_is_given(lm_dir):
    config = {"mode": "lm", "lang": "forced", "by_language": {"eng": {"lm_weight": 0.0}}}
    decoder, emission = decoder_of(config, lm_dir, PLAIN, 6), frames(PLAIN, *SEE)
    both = emission_of(np.concatenate([emission, emission]), PLAIN, 6)
    texts = [
        "".join(PLAIN[i] for i in paths[0].ids).replace("<space>", " ")
        for paths in decoder(both, ["eng", "deu"])
    ]
    assert texts == ["the see", "the sea"]


@pytest.mark.parametrize(
    ("config", "tokens", "message"),
    [
        ({"by_language": {"enk": {}}}, TAGGED, "names 'enk', which the model.*Did you mean 'eng'"),
        ({"by_language": {"eng": {}}}, PLAIN, "no language tags. Set lang forced"),
    ],
)
def test_languages_that_can_never_be_decided_on_are_refused(config, tokens, message):
    with pytest.raises(UserError, match=message):
        decoder_of(config, None, tokens, tokens.index("<blank>"))


@pytest.mark.parametrize("config", [{"blank_penalty": 1.0}, {"by_language": {"eng": {}}}])
def test_a_model_without_ctc_has_no_blank_to_penalise(config):
    experiment = {"token_list": TAGGED, "model_conf": {"ctc_weight": 0.0}}
    with pytest.raises(UserError, match="trained without. Delete them"):
        decoder_for(experiment, read_decode_config(config))
