"""asr_dro_plugin/data/splits.py: splits by hash, kept in files."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.data.splits import (
    FRACTIONS,
    assign,
    connected,
    keep_split,
    read_split,
    write_split,
)
from asr_dro_plugin.errors import UserError

KEYS = st.lists(st.text(min_size=1, max_size=8), max_size=30)


@given(keys=KEYS, more=KEYS, seed=st.integers(0, 99))
def test_adding_keys_never_moves_one(keys, more, seed):
    before, after = assign(keys, seed), assign([*more, *keys], seed)
    assert {key: after[key] for key in before} == before


@given(keys=KEYS, seed=st.integers(0, 99))
def test_the_order_of_the_keys_does_not_matter(keys, seed):
    assert list(assign(keys, seed).items()) == list(assign(keys[::-1], seed).items())


def test_the_split_is_the_same_on_every_machine():
    # written down once: a change here would silently mix everybody's train and test data
    split = assign([f"rec{n}" for n in range(40)], 7)
    marks = {"train": ".", "dev": "d", "test": "t"}
    assert "".join(marks[split[f"rec{n}"]] for n in range(40)) == (
        "t........t.....t..d...d.d...t..d.......d"
    )


def test_shares_are_right_on_average():
    counts = Counter(assign(map(str, range(20000)), 7).values())
    for name, share in FRACTIONS.items():
        assert abs(counts[name] / 20000 - share) < 0.01


def test_another_seed_is_another_split():
    keys = list(map(str, range(100)))
    assert assign(keys, 7) != assign(keys, 8)


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(UserError, match="sum to 1"):
        assign(["a"], 7, {"train": 0.8, "test": 0.1})


@given(groups=st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4)))
def test_keys_of_one_group_have_one_representative(groups):
    unit = connected(groups)
    assert all(len({unit[key] for key in group}) == 1 for group in groups)
    assert all(unit[unit[key]] == unit[key] <= key for key in unit)


@settings(max_examples=25)
@given(keys=st.lists(st.from_regex(r"[a-z0-9/]{1,8}", fullmatch=True), unique=True))
def test_a_split_that_was_written_is_read_back(tmp_path_factory, keys):
    path = tmp_path_factory.mktemp("split") / "split.tsv"
    write_split(path, assign(keys, 7), 7)
    assert read_split(path) == (assign(keys, 7), "seed=7 fractions=train:0.8,dev:0.1,test:0.1")


def test_an_altered_split_is_refused(tmp_path):
    path = tmp_path / "split.tsv"
    write_split(path, assign("abcdefgh", 7), 7)
    content = path.read_text()
    path.write_text(content.replace("\ttrain", "\ttest", 1))
    with pytest.raises(UserError, match="was altered"):
        keep_split(path, "abcdefgh", 7)
    assert "\ttest" in path.read_text()  # and it was not touched
    split, _ = keep_split(path, "abcdefgh", 7, new_split=True)
    assert split == assign("abcdefgh", 7)
    assert path.read_text() == content


def test_a_split_file_that_should_be_there_is_not_made_anew(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        keep_split(tmp_path / "split.tsv", "abc", 7, expected=True)
    assert not (tmp_path / "split.tsv").exists()


def test_another_seed_does_not_replace_a_split(tmp_path):
    path = tmp_path / "split.tsv"
    keep_split(path, "abc", 7)
    with pytest.raises(UserError, match=r"seed=7 .* not with seed=8"):
        keep_split(path, "abc", 8)


def test_new_keys_are_added_to_the_file_and_old_ones_stay(tmp_path):
    path = tmp_path / "split.tsv"
    old = dict.fromkeys("abc", "test")  # not where the hash would put them
    write_split(path, old, 7)
    split, new = keep_split(path, "abcdef", 7)
    assert new == 3
    assert {key: split[key] for key in "abc"} == old
    assert keep_split(path, "abcdef", 7) == (split, 0)
