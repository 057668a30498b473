"""Ids of groups follow from their names alone, and a file that says otherwise is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap

NAMES = st.lists(st.sampled_from(["deu", "eng", "fra", "rus", "zho_x"]), min_size=1)


@given(NAMES, NAMES)
def test_two_maps_differ_by_their_names_whatever_the_order(some, others):
    here, there = GroupMap(some), GroupMap(others)
    assert [here.id_of(name) for name in sorted(set(some))] == list(range(len(here)))
    assert (here == there) == (not here.difference(there)) == (set(some) == set(others))
    assert here.extended(others) == there.extended(some)


def test_what_is_new_and_what_is_gone_is_named():
    before, after = GroupMap(["deu", "eng"]), GroupMap(["rus", "eng"])
    assert before.difference(after) == "new: rus; gone: deu"


def test_a_name_outside_the_map_is_refused_with_those_inside():
    with pytest.raises(UserError, match="'fra' is not one of the 2 known groups: deu eng"):
        GroupMap(["eng", "deu"]).id_of("fra")


@pytest.mark.parametrize("text", ["eng\ndeu\n", "deu\ndeu\n"])
def test_a_file_in_another_order_would_change_the_ids_and_is_refused(tmp_path, text):
    path = tmp_path / "groups.txt"
    GroupMap(["eng", "deu"]).write(path)
    assert GroupMap.read(path).names == ("deu", "eng")
    path.write_text(text)
    with pytest.raises(UserError, match="groups.txt is not a sorted list of distinct names"):
        GroupMap.read(path)
    path.write_text("")
    with pytest.raises(UserError, match="at least one group"):
        GroupMap.read(path)
