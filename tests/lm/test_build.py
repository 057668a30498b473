"""A model's folder: what is in it, and that it is whole or absent."""

import gzip
import json
import os
import stat

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.build import LmSettings, build_lm, make_binary
from asr_dro_plugin.lm.files import find_lm, lm_names
from asr_dro_plugin.lm.programs import is_installed
from asr_dro_plugin.lm.stages import binaries, estimate_all
from asr_dro_plugin.lm.text import Sentences, collect

LINES = "the cat sat\nthe cat ran\na dog sat\nżółw\n"


@pytest.fixture
def text(tmp_path):
    (tmp_path / "joint.txt").write_text(LINES, "utf-8", newline="\n")
    return tmp_path / "joint.txt"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script on PATH under the name of one of KenLM's programs."""

    def make(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return make


@pytest.fixture
def no_kenlm(tmp_path, monkeypatch):
    """A PATH without KenLM's programs."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_the_folder_holds_the_model_its_words_and_its_description(text, tmp_path, no_kenlm):
    about = build_lm(text, tmp_path / "lm", "joint", LmSettings(), "nfc")
    folder = tmp_path / "lm" / "joint"
    assert sorted(p.name for p in folder.iterdir()) == ["lm.arpa.gz", "lm.json", "unigrams.txt"]
    assert (folder / "unigrams.txt").read_text("utf-8").split("\n") == [
        "a", "cat", "dog", "ran", "sat", "the", "żółw", ""
    ]  # fmt: skip
    assert json.loads((folder / "lm.json").read_text("utf-8")) == about
    wanted = {"order": 3, "unit": "word", "estimator": "modified_kneser_ney", "text_norm": "nfc"}
    assert wanted.items() <= about.items()
    assert (about["sentences"], about["tokens"], about["name"]) == (4, 10, "joint")
    assert about["characters"] == sorted(set("thecatsatrandogżółw"))
    lm = find_lm(tmp_path / "lm")
    assert (lm.model, lm.description) == (folder / "lm.arpa.gz", about)


def test_characters_have_a_name_for_the_space(text, tmp_path, no_kenlm):
    about = build_lm(text, tmp_path / "lm", "joint", LmSettings(order=4, unit="char"))
    assert find_lm(tmp_path / "lm").words()[:3] == ["<space>", "a", "c"]
    assert "<space>" not in about["characters"]
    assert about["tokens"] == len(LINES.replace("\n", ""))


def test_made_twice_it_is_the_same_and_nothing_of_the_first_stays(text, tmp_path, no_kenlm):
    folder = tmp_path / "lm" / "joint"
    build_lm(text, tmp_path / "lm", "joint", LmSettings())
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "lm.bin").write_bytes(b"of an older model")
    build_lm(text, tmp_path / "lm", "joint", LmSettings())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert [path.name for path in (tmp_path / "lm").iterdir()] == ["joint"]
    assert stat.S_IMODE(folder.stat().st_mode) & 0o055 == 0o055 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": 0}, "--order 0 is less than 1"),
        ({"order": 7}, "more than KenLM reads. Give 6 or less"),
        ({"order": 1, "estimator": "lmplz"}, "--estimator builtin"),
        ({"prune": (1,)}, "must begin with 0"),
        ({"prune": (0, 2, 1)}, "must not fall"),
        ({"prune": ()}, "must begin with 0"),
        ({"order": 2, "prune": (0, 0, 1)}, "more numbers than --order 2"),
        ({"unit": "bpe"}, "no unit or estimator"),
    ],
)
def test_settings_that_no_model_can_have_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        LmSettings(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": 6}, "'joint' has no 6-grams .* Give --order 5 or more text"),
        ({"prune": (0, 0, 9)}, '--prune "0 0 9" leaves no 3-grams'),
        ({"prune": (0, 9)}, '--prune "0 9" leaves no 2-grams'),
    ],
)
def test_too_little_text_is_one_line_and_the_older_model_stays(
    text, tmp_path, no_kenlm, options, said
):
    build_lm(text, tmp_path / "lm", "joint", LmSettings())
    with pytest.raises(UserError, match=said):
        build_lm(text, tmp_path / "lm", "joint", LmSettings(**options))
    assert [path.name for path in (tmp_path / "lm").iterdir()] == ["joint"]
    assert find_lm(tmp_path / "lm").description["order"] == 3


def test_a_program_that_fails_is_one_line_with_its_last_words(text, tmp_path, program):
    program("lmplz", "echo reading >&2; echo 'no memory left' >&2; exit 4")
    with pytest.raises(UserError, match="^lmplz failed with exit code 4: no memory left$"):
        build_lm(text, tmp_path / "lm", "joint", LmSettings())
    assert list((tmp_path / "lm").iterdir()) == []


def test_lmplz_is_an_error_where_it_is_asked_for_and_absent(text, tmp_path, no_kenlm):
    with pytest.raises(UserError, match="lmplz is not on PATH.*--estimator builtin"):
        build_lm(text, tmp_path / "lm", "joint", LmSettings(estimator="lmplz"))


def test_lmplz_is_told_order_pruning_and_spaced_symbols(text, tmp_path, program):
    """A stand-in that keeps what it was given and writes a small ARPA file."""
    (tmp_path / "theirs.arpa").write_text(
        "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-1\t<unk>\t0\n0\t<s>\t0\n-1\t</s>\t0\n"
        "-1\tc\t0\n\n\\2-grams:\n-1\t<s> c\n\n\\end\\\n"
    )
    program(
        "lmplz",
        f'echo "$@" > {tmp_path}/given\n'
        "while [ $# -gt 0 ]; do case $1 in --text) t=$2;; --arpa) a=$2;; esac; shift; done\n"
        f'cp "$t" {tmp_path}/spaced; cp {tmp_path}/theirs.arpa "$a"',
    )
    settings = LmSettings(order=2, unit="char", prune=(0, 1))
    about = build_lm(text, tmp_path / "lm", "joint", settings)
    given = (tmp_path / "given").read_text()
    assert "--order 2 --discount_fallback --skip_symbols" in given
    assert given.rstrip().endswith("--prune 0 1")
    assert (tmp_path / "spaced").read_text("utf-8").splitlines()[-1] == "ż ó ł w"
    assert (about["estimator"], about["ngrams"], about["sentences"]) == ("lmplz", [4, 1], 4)
    folder = tmp_path / "lm" / "joint"
    assert sorted(p.name for p in folder.iterdir()) == ["lm.arpa.gz", "lm.json", "unigrams.txt"]
    assert gzip.decompress((folder / "lm.arpa.gz").read_bytes()).startswith(b"\\data\\\n")


@pytest.mark.skipif(not is_installed("build_binary"), reason="build_binary is not on PATH")
def test_the_binary_scores_as_the_arpa_does(text, tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="needs the extra lm")
    build_lm(text, tmp_path / "lm", "joint", LmSettings())
    scores = []
    for _ in range(2):
        model = kenlm.Model(str(find_lm(tmp_path / "lm").model))
        scores.append(model.score("the cat flew"))
        make_binary(find_lm(tmp_path / "lm"))
    assert find_lm(tmp_path / "lm").model.name == "lm.bin"
    assert scores[0] == pytest.approx(scores[1])


def test_a_binary_that_fails_leaves_the_arpa_as_the_model(text, tmp_path, program):
    build_lm(text, tmp_path / "lm", "joint", LmSettings(estimator="builtin"))
    program("build_binary", "exit 1")
    with pytest.raises(UserError, match="build_binary failed with exit code 1: no message"):
        binaries(tmp_path / "lm")
    assert find_lm(tmp_path / "lm").model.name == "lm.arpa.gz"


def test_without_build_binary_the_arpa_is_used_and_that_is_said(text, tmp_path, no_kenlm):
    with pytest.raises(UserError, match="asked for and is not in"):
        binaries(tmp_path / "lm")
    build_lm(text, tmp_path / "lm", "joint", LmSettings())
    assert "no build_binary on PATH; lm.arpa.gz is used" in binaries(tmp_path / "lm")


def test_a_language_with_too_little_text_is_left_out_and_the_rest_is_done(tmp_path, no_kenlm):
    (tmp_path / "text").write_text("[eng] a b c d\n[pol] x\n", "utf-8")
    collect(Sentences([tmp_path / "text"]), tmp_path / "texts", "language")
    (tmp_path / "lm" / "pol").mkdir(parents=True)
    (tmp_path / "lm" / "pol" / "lm.arpa").write_text("of another text")
    made, failed = estimate_all(tmp_path / "texts", tmp_path / "lm", LmSettings(order=4))
    assert lm_names(tmp_path / "lm") == ["eng"]
    assert len(made) == 1
    assert "1 sentences, 4 words; n-grams 7 + 5 + 4 + 3; modified_kneser_ney" in made[0]
    assert failed == [
        "The text of 'pol' has no 4-grams (the ends of a sentence count). "
        "Give --order 3 or more text."
    ]
    with pytest.raises(UserError, match="The text of 'pol'"):
        estimate_all(tmp_path / "texts", tmp_path / "lm", LmSettings(order=4), strict=True)
    with pytest.raises(UserError, match="2 texts, none makes a model"):
        estimate_all(tmp_path / "texts", tmp_path / "lm", LmSettings(order=6, prune=(0, 5)))
