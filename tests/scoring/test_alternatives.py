"""A reference that can be read in several ways is read in the way nearest to the hypothesis."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.bin.score import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.alternatives import chosen, with_optional
from asr_dro_plugin.scoring.edit_distance import count_edits


def read(text, heard):
    return chosen(with_optional(text), heard.split(), str.split)


@pytest.mark.parametrize(
    ("text", "heard", "said"),
    [
        ("I { gonna / am going to } go", "I am going to go", "I am going to go"),
        ("I { gonna / am going to } go", "I gonna go", "I gonna go"),
        ("a { b / c } d", "a x d", "a b d"),  # of equals the first
        ("a {b / @} d", "a d", "a d"),
        ("[eng] (uh) well (uh)", "uh well", "[eng] uh well"),
        ("(%hes)", "", ""),
        ("a b", "c", "a b"),
        ("{ a / b } { a / b }", "b a", "b a"),
    ],
)
def test_the_nearest_reading_is_taken(text, heard, said):
    assert read(text, heard) == said


WORDS = st.lists(st.sampled_from("abc"), max_size=3)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=3), max_size=4), WORDS)
def test_no_other_reading_has_fewer_errors(places, heard):
    text = " ".join(
        "{ " + " / ".join(" ".join(words) or "@" for words in options) + " }"
        if len(options) > 1
        else " ".join(options[0])
        for options in places
    )
    readings = [sum(row, []) for row in itertools.product(*places)]
    fewest = min(count_edits(reading, heard).errors for reading in readings)
    said = read(text, " ".join(heard)).split()
    assert count_edits(said, heard).errors == fewest and said in readings


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ref.trn").write_text("I {Gonna / am going to} go (uh) (u1)\nyes (u2)\n")
    (tmp_path / "hyp.trn").write_text("i am going to go (u1)\nno (u2)\n")
    return tmp_path


def test_error_rates_are_of_the_reading_after_normalising(files):
    main(["ref.trn", "hyp.trn", "--json", "s.json"])
    wer = json.loads((files / "s.json").read_text())["total"]["wer"]
    assert (wer["errors"], wer["ref"]) == (1, 6)
    main(["ref.trn", "hyp.trn", "--json", "n.json", "--text_norm", "none"])
    assert json.loads((files / "n.json").read_text())["total"]["wer"]["errors"] == 2  # I, i


def test_languages_without_spaces_are_read_by_character(files):
    (files / "ref").write_text("u1 我 { 们去 / 要走了 }\n")
    (files / "hyp").write_text("u1 我要走\n")
    (files / "utt2lang").write_text("u1 cmn\n")
    (files / "langs.tsv").write_text("cmn\tMandarin\tHans\t0\t1\t\n")
    main(["ref", "hyp", "--languages", "langs.tsv", "--json", "s.json"])
    cer = json.loads((files / "s.json").read_text())["total"]["cer"]
    assert (cer["errors"], cer["ref"]) == (1, 4)


def test_what_cannot_be_weighed_is_refused_in_one_line(files):
    with pytest.raises(UserError, match="Leave --compare away"):
        main(["ref.trn", "hyp.trn", "--compare", "hyp.trn"])
    (files / "nested.trn").write_text("a { b / { c / d } } (u1)\n")
    with pytest.raises(UserError, match="'u1' has alternatives within alternatives. Write"):
        main(["nested.trn", "hyp.trn"])
