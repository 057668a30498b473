"""Which characters of the references a model cannot know, from its training text or its tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.training_text import (
    TrainingText,
    read_training_text,
    text_of_tokens,
)
from asr_dro_plugin.text.normalizers import get_normalizer

LOWER, NONE = get_normalizer("lower_no_punct"), get_normalizer("none")


def written(tmp_path, *lines):
    path = tmp_path / "text"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_character_is_known_where_any_languages_training_text_has_it(tmp_path):
    found = read_training_text(written(tmp_path, "u1 [eng] abc d", "u2 [rus] где ё"), LOWER)
    assert found.unseen(["ab é", "ёж"], LOWER) == {"é", "ж"}
    assert found.counts["rus"] == {"г": 1, "д": 1, "е": 1, "ё": 1}


def test_case_and_marks_are_those_that_are_compared(tmp_path):
    upper = written(tmp_path, "u1 [eng] DON'T (é)", "u2 [tur] ILIK")
    assert read_training_text(upper, LOWER).unseen(["don't é ılık"], LOWER) == set()
    assert read_training_text(upper, NONE).unseen(["dE"], NONE) == {"d", "E"}


def test_letters_in_another_coding_of_the_same_script_are_unseen(tmp_path):
    """Common Voice has Urdu in presentation forms, which NFC leaves as they are."""
    found = read_training_text(written(tmp_path, "u1 [urd] اس"), LOWER)
    assert found.unseen(["\ufe8d\ufeb1"], LOWER) == {"\ufe8d", "\ufeb1"}


def test_languages_without_tags_are_told_by_the_table_beside(tmp_path):
    path = written(tmp_path, "u1 abc", "u2 где")
    (tmp_path / "utt2lang").write_text("u1 eng\nu2 rus\n")
    assert set(read_training_text(path, LOWER).counts) == {"eng", "rus"}


@pytest.mark.parametrize("content", ["u1\n", "u1 [eng]\nu2 ?!\n", ""])
def test_a_text_that_says_nothing_is_refused(tmp_path, content):
    path = tmp_path / "text"
    path.write_text(content)
    with pytest.raises(UserError, match="holds no text"):
        read_training_text(path, LOWER)


def test_tokens_write_what_they_are_made_of():
    tokens = ["<blank>", "<unk>", "[eng]", "▁HEL", "lo", "<space>", "\u0301", "e", "<sos/eos>"]
    found = text_of_tokens(tokens, LOWER)
    assert found.unseen(["hello é ó ñ b [n"], LOWER) == {"ñ", "b", "[", "n"}
    assert found.unseen(["\u00e9"], NONE) == {"\u00e9"}  # nothing composes it


def test_tokens_of_bytes_write_anything():
    assert TrainingText({}, spells_all=True).unseen(["где 漢"], LOWER) == set()


@given(st.lists(st.text("aбé ", min_size=1), min_size=1), st.text("aбéxы "))
def test_what_is_unseen_is_what_no_line_holds(lines, ref):
    known = set().union(*lines)
    training = TrainingText({"": dict.fromkeys(known - {" "}, 1)})
    assert training.unseen([ref], LOWER) == set(ref) - known - {" "}
