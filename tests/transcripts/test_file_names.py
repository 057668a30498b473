"""One file an id: any id is a legal name, comes back from it, and shares it with no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.file_names import escape_id, file_names, unescape_id

# Short words of nasty characters, so that ids often differ in a little.
IDS = st.text(st.sampled_from("aAbB/\\ .%2FßsкКéİiıﬁ\n\0\U0001f600한"), min_size=1, max_size=5)


@given(IDS | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_an_id_comes_back_from_its_name(utt_id):
    name = escape_id(utt_id)
    assert unescape_id(name) == utt_id
    assert not set(name) & set("/\\ \n\0") and not name.startswith(".")


@given(st.sets(IDS, max_size=30))
def test_no_two_ids_share_a_file_not_even_on_a_disk_without_upper_case(utt_ids):
    names = file_names(utt_ids)
    assert len({name.casefold() for name in names.values()}) == len(utt_ids)
    for utt_id, name in names.items():
        assert unescape_id(name.removesuffix(".txt")) == utt_id


@given(st.lists(IDS, unique=True, max_size=10), st.randoms())
def test_names_do_not_depend_on_the_order(utt_ids, random):
    before = file_names(utt_ids)
    random.shuffle(utt_ids)
    assert file_names(utt_ids) == before


@pytest.mark.parametrize(
    ("utt_id", "name"),
    [
        ("ML_eng_0001-a.b", "ML_eng_0001-a.b.txt"),
        ("где", "где.txt"),
        ("a/x 1", "a%2Fx%201.txt"),
        ("..", "%2E..txt"),
        (".hidden", "%2Ehidden.txt"),
        ("100%", "100%25.txt"),
    ],
)
def test_ordinary_ids_stay_readable(utt_id, name):
    assert file_names([utt_id]) == {utt_id: name}


def test_upper_case_is_escaped_only_where_it_is_all_that_differs():
    assert file_names(["Ab", "aB", "C"]) == {"Ab": "%41b.txt", "aB": "a%42.txt", "C": "C.txt"}


@pytest.mark.parametrize("utt_id", ["", "x" * 300, "ж/" * 60])
def test_an_id_that_cannot_be_a_name_is_refused(utt_id):
    with pytest.raises(UserError, match="cannot be a file's name"):
        file_names([utt_id])
