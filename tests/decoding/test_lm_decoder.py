"""A hand-written ARPA with two words that sound alike, and what alpha and beta do to them."""

import gzip
import json
import logging
import math
import re
import sys

import numpy as np
import pytest

from asr_dro_plugin.decoding import build
from asr_dro_plugin.decoding.flashlight import FlashlightSearch
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError, how_to_install

ARPA = """\\data\\
ngram 1=7
ngram 2=3

\\1-grams:
-2.0\t<unk>\t0
0\t<s>\t-0.3
-1.2\t</s>\t0
-0.9\tthe\t-0.2
-1.0\tsea\t-0.2
-1.0\tsee\t-0.2
-1.0\tse\t-0.2

\\2-grams:
-0.2\t<s> the
-0.1\tthe sea
-0.1\tsea </s>

\\end\\
"""
WORDS = ["the", "sea", "see", "se"]
LETTERS = ["a", "e", "h", "s", "t"]
TAGGED = ["<blank>", "<unk>", "[deu]", "[eng]", "<space>", *LETTERS, "<sos/eos>"]
PLAIN = ["<space>", *LETTERS, "<blank>"]
BPE = ["<blank>", "[deu]", "[eng]", "▁", "▁the", "▁se", "a", "e", "▁s", "ea"]


def build_decoder(config, *rest, **more):
    """As ``build.build_decoder``, of a configuration that names few keys."""
    return build.build_decoder(read_decode_config(config), *rest, **more)


def write_lm(folder, name="joint", arpa=ARPA, words=WORDS, unit="word", file="lm.arpa"):
    path = folder / name
    path.mkdir(parents=True)
    (gzip.open if file.endswith("gz") else open)(path / file, "wt").write(arpa)
    (path / "unigrams.txt").write_text("".join(f"{word}\n" for word in words))
    characters = sorted(set("".join(w for w in words if w != "<space>")))
    about = {"order": 2, "unit": unit, "characters": characters}
    (path / "lm.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def lm_dir(tmp_path):
    return write_lm(tmp_path / "lm")


def frames(tokens, *symbols):
    """One frame a symbol, sure of it; "e a:0.4" shares the frame; blanks between."""
    rows = []
    for symbol in symbols:
        row = np.full(len(tokens), 1e-4)
        for part in symbol.split():
            token, _, share = part.partition(":")
            row[tokens.index(token)] = float(share or 0.99)
        blank = np.full(len(tokens), 1e-4)
        blank[tokens.index("<blank>")] = 0.99
        rows += [row / row.sum(), blank / blank.sum()]
    return np.log(np.array(rows, np.float32))[None]


def texts(decoder, log_probs, tokens, token_type="char", langs=None):
    lengths = np.full(len(log_probs), log_probs.shape[1])
    emission = Emission(log_probs, lengths, 0.02, tokens.index("<blank>"), tokens)
    found = decoder(emission, langs)
    return [[tokens_to_text(p.ids, tokens, token_type) for p in paths] for paths in found]


def decode(lm_dir, log_probs, tokens, token_type="char", langs=None, strict=False, **config):
    config = {"mode": "lm", **config}
    blank_id = tokens.index("<blank>")
    decoder = build_decoder(config, tokens, token_type, blank_id, lm_dir, strict)
    return texts(decoder, log_probs, tokens, token_type, langs)[0][0]


SEE = ("t", "h", "e", "<space>", "s", "e", "e:0.6 a:0.4")
KINDS = [{"lexicon": True}, {"lexicon": False}]


@pytest.mark.parametrize("kind", KINDS, ids=["lexicon", "open"])
def test_alpha_0_gives_the_acoustic_best_and_half_gives_the_language_models(lm_dir, kind):
    log_probs = frames(PLAIN, *SEE)
    assert decode(lm_dir, log_probs, PLAIN, lm_weight=0.0, **kind) == "the see"
    assert decode(lm_dir, log_probs, PLAIN, lm_weight=0.5, **kind) == "the sea"


@pytest.mark.parametrize("kind", KINDS, ids=["lexicon", "open"])
def test_beta_changes_the_number_of_words_as_predicted(lm_dir, kind):
    # A space of 0.3 or none: with alpha 0 two words win where exp(beta) * 0.3 is above 0.7.
    doubtful = frames(PLAIN, "s", "e", "<space>:0.3 <blank>:0.7", "s", "e")
    arpa = ARPA.replace("sea", "sese")
    folder = write_lm(lm_dir.parent / "two", arpa=arpa, words=["the", "see", "se", "sese"])
    edge = math.log(0.7 / 0.3)
    for beta, words in ((edge - 0.1, "sese"), (edge + 0.1, "se se"), (-3.0, "sese")):
        settings = {"lm_weight": 0.0, "word_score": beta, "blank_threshold": 1.0, **kind}
        assert decode(folder, doubtful, PLAIN, **settings) == words


@pytest.mark.parametrize("kind", KINDS, ids=["lexicon", "open"])
def test_arpa_and_packed_arpa_give_the_same(tmp_path, kind):
    log_probs, found = frames(PLAIN, *SEE), []
    for file in ("lm.arpa", "lm.arpa.gz"):
        folder = write_lm(tmp_path / file, file=file)
        decoder = build_decoder({"mode": "lm", **kind}, PLAIN, "char", 6, folder)
        emission = Emission(log_probs, np.array([log_probs.shape[1]]), 0.02, 6, PLAIN)
        found.append(decoder(emission))
    assert found[0] == found[1] and len(found[0][0][0].ids) == 7


@pytest.mark.parametrize("kind", KINDS, ids=["lexicon", "open"])
def test_the_tag_and_the_space_after_it_stand_before_the_text(lm_dir, kind):
    log_probs = frames(TAGGED, "[eng]", "<space>", *SEE)
    assert decode(lm_dir, log_probs, TAGGED, **kind) == "[eng] the sea"
    plain = decode(lm_dir, frames(PLAIN, *SEE), PLAIN, **kind)
    assert plain == "the sea"


def test_scores_with_a_tag_are_those_of_the_text_without(lm_dir):
    decoder = build_decoder({"mode": "lm", "lexicon": False}, TAGGED, "char", 0, lm_dir)
    log_probs = frames(TAGGED, "[eng]", "<space>", *SEE)
    path = decoder(Emission(log_probs, np.array([18]), 0.02, 0, TAGGED))[0][0]
    assert [TAGGED[i] for i in path.ids[:3]] == ["[eng]", "<space>", "t"]
    assert path.lm_score == pytest.approx(-0.4 * math.log(10), abs=1e-4)
    assert path.score == pytest.approx(path.am_score + 0.5 * path.lm_score, abs=1e-4)


def test_a_lexicon_of_pieces_allows_its_words_only(lm_dir):
    log_probs = frames(BPE, "▁", "[eng]", "▁the", "▁se", "e:0.6 a:0.3", "e:0.6 ▁s:0.3")
    found = decode(lm_dir, log_probs, BPE, "bpe")
    assert set(found.split()[1:]) <= set(WORDS) and found.startswith("[eng] the se")
    assert decode(lm_dir, frames(BPE, "[eng]", "▁the", "▁se", "e:0.6 a:0.4"), BPE, "bpe") == (
        "[eng] the sea"
    )


def test_words_as_tokens_are_weighed_too(lm_dir):
    tokens = ["<blank>", *WORDS, "zzz"]
    log_probs = frames(tokens, "the", "see:0.6 sea:0.4", "zzz:0.5 se:0.4")
    assert decode(lm_dir, log_probs, tokens, "word", lm_weight=0.0, lexicon=False) == "the see zzz"
    assert decode(lm_dir, log_probs, tokens, "word").startswith("the sea")
    assert "zzz" not in decode(lm_dir, log_probs, tokens, "word")


def test_an_unknown_word_is_kept_where_its_score_allows_it(lm_dir):
    odd = frames(PLAIN, "s", "e", "h:0.9 e:0.08")
    assert decode(lm_dir, odd, PLAIN, lexicon=False) == "seh"
    assert decode(lm_dir, odd, PLAIN, lexicon=False, unk_score=-5.0) == "see"
    assert decode(lm_dir, odd, PLAIN, lexicon=True) == "see"


def test_a_character_model_weighs_languages_without_spaces(tmp_path):
    arpa = ARPA.replace("the", "s").replace("sea", "e").replace("see", "a").replace("se\t", "t\t")
    folder = write_lm(tmp_path, arpa=arpa, words=["s", "e", "a", "t"], unit="char")
    log_probs = frames(TAGGED, "[deu]", "<space>", "s", "a:0.55 e:0.45")
    for alpha, text in ((0.0, "[deu] sa"), (0.5, "[deu] se")):
        found = decode(folder, log_probs, TAGGED, lm_unit="char", lm_weight=alpha)
        assert found == text


def test_each_language_has_its_own_model(tmp_path):
    write_lm(tmp_path, "eng")
    swapped = ARPA.replace("the sea", "the see").replace("sea </s>", "see </s>")
    write_lm(tmp_path, "deu", arpa=swapped)
    settings = {"lm": "language", "lang": "forced"}
    both = "[eng]:0.5 [deu]:0.4"
    doubtful = frames(TAGGED, both, "<space>", *SEE[:-1], "e:0.5 a:0.5")
    assert decode(tmp_path, doubtful, TAGGED, langs=["eng"], **settings) == "[eng] the sea"
    assert decode(tmp_path, doubtful, TAGGED, langs=["deu"], **settings) == "[deu] the see"
    assert decode(tmp_path, doubtful, TAGGED, lm="language") == "[eng] the sea"


def test_a_language_without_model_gets_the_joint_one_with_one_warning_or_an_error(tmp_path, caplog):
    write_lm(tmp_path, "eng")
    with pytest.raises(UserError, match="'deu' was asked for and is not in"):
        build_decoder({"mode": "lm", "lm": "language"}, TAGGED, "char", 0, tmp_path)
    write_lm(tmp_path, "joint")
    log_probs = frames(TAGGED, "[deu]", "<space>", *SEE)
    with caplog.at_level(logging.WARNING):
        assert decode(tmp_path, log_probs, TAGGED, lm="language") == "[deu] the sea"
    assert [r.getMessage().split(" has ")[1] for r in caplog.records] == [
        "no language model of its own for deu: the joint one serves."
    ]


def test_the_n_best_are_sorted_and_distinct(lm_dir):
    log_probs = frames(PLAIN, *SEE[:-1], "e:0.5 a:0.5")
    for kind in KINDS:
        settings = {"mode": "lm", "nbest": 4, **kind}
        decoder = build_decoder(settings, PLAIN, "char", 6, lm_dir)
        paths = decoder(Emission(log_probs, np.array([14]), 0.02, 6, PLAIN))[0]
        assert len(paths) > 1 and len({p.ids for p in paths}) == len(paths)
        assert [p.score for p in paths] == sorted((p.score for p in paths), reverse=True)


def test_an_empty_utterance_is_an_empty_text(lm_dir):
    for kind in KINDS:
        log_probs = np.zeros((1, 0, len(PLAIN)), np.float32)
        assert decode(lm_dir, log_probs, PLAIN, **kind) == ""


def test_flashlight_and_our_search_agree_on_score_and_text(lm_dir):
    log_probs = frames(PLAIN, *SEE)
    emission = Emission(log_probs, np.array([14]), 0.02, 6, PLAIN)
    config = {"mode": "lm", "word_score": 0.7, "blank_threshold": 1.0}
    theirs = build_decoder(config, PLAIN, "char", 6, lm_dir)
    ours = build_decoder({**config, "lexicon": False}, PLAIN, "char", 6, lm_dir)
    one, other = theirs(emission)[0][0], ours(emission)[0][0]
    assert isinstance(theirs.models.search(None), FlashlightSearch) and one.ids == other.ids
    assert one.lm_score == pytest.approx(other.lm_score, abs=1e-4)
    assert other.am_score - 0.1 < one.am_score <= other.am_score  # the best path, the sum of all
    assert one.score == pytest.approx(one.am_score + 0.5 * one.lm_score + 2 * 0.7, abs=1e-3)


def test_a_language_model_that_is_not_there_is_an_error(tmp_path, lm_dir):
    with pytest.raises(UserError, match="mode lm needs a language model. Give --lm_dir"):
        build_decoder({"mode": "lm"}, PLAIN, "char", 6)
    with pytest.raises(UserError, match="none does not exist"):
        build_decoder({"mode": "lm"}, PLAIN, "char", 6, tmp_path / "none")
    with pytest.raises(UserError, match="mode beam does not use"):
        build_decoder({"mode": "beam"}, PLAIN, "char", 6, lm_dir)


@pytest.mark.parametrize(("package", "lexicon"), [("kenlm", False), ("flashlight.lib.text", True)])
def test_a_missing_package_is_an_error_that_names_the_extra(lm_dir, monkeypatch, package, lexicon):
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=re.escape(how_to_install("lm"))):
        decode(lm_dir, frames(PLAIN, "t"), PLAIN, lexicon=lexicon)


def test_a_broken_model_file_is_one_line(tmp_path):
    folder = write_lm(tmp_path, arpa="no arpa\n")
    for kind in KINDS:
        with pytest.raises(UserError, match="is not read by KenLM|is not of an ARPA") as error:
            decode(folder, frames(PLAIN, "t"), PLAIN, **kind)
        assert "\n" not in str(error.value)


def test_a_model_of_another_unit_is_refused(lm_dir):
    with pytest.raises(UserError, match="model of unit word, the configuration asks for lm_unit"):
        build_decoder({"mode": "lm", "lm_unit": "char"}, PLAIN, "char", 6, lm_dir)


@pytest.mark.parametrize("kind", KINDS, ids=["lexicon", "open"])
def test_a_model_of_another_alphabet_is_refused(tmp_path, kind):
    folder = write_lm(tmp_path, words=["море", "вода"])
    with pytest.raises(UserError, match="alphabet"):
        decode(folder, frames(PLAIN, "t"), PLAIN, **kind)


@pytest.mark.parametrize("kind", KINDS, ids=["lexicon", "open"])
def test_what_cannot_be_written_is_counted_and_listed_or_refused(tmp_path, caplog, kind):
    folder = write_lm(tmp_path, words=[*WORDS, "año"])
    with caplog.at_level(logging.WARNING):
        assert decode(folder, frames(PLAIN, *SEE), PLAIN, **kind) == "the sea"
    count = "1 of 5" if kind["lexicon"] else "2 of 7"
    assert f"{count} units" in caplog.text and "ñ" in caplog.text
    with pytest.raises(UserError, match=f"{count} units.*Leave --strict out"):
        decode(folder, frames(PLAIN, *SEE), PLAIN, strict=True, **kind)


def test_words_are_not_run_together_to_put_off_their_price(lm_dir):
    # Without looking ahead "theseathesea" would cost nothing until it ends, and fill the beam.
    doubtful = "<space>:0.3 <blank>:0.6"
    two = ("t", "h", "e", doubtful, "s", "e", "a")
    settings = {"lexicon": False, "unk_score": -10.0, "beam_size": 3}
    assert decode(lm_dir, frames(PLAIN, *two, doubtful, *two), PLAIN, **settings) == (
        "the sea the sea"
    )
