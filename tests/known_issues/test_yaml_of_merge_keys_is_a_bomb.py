"""A YAML of 500 bytes whose mappings merge one another kept the reader busy for ever."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.content import read_yaml


def test_mappings_that_merge_each_other_many_times_are_refused(tmp_path):
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 30)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match="over 1000000 times, as bombs do"):
        read_yaml(tmp_path / "x.yaml", "x.yaml")


def test_plain_merge_keys_are_read(tmp_path):
    (tmp_path / "x.yaml").write_text("a: &a {k: 1, l: 2}\nb: {<<: *a, l: 3}\nc: {<<: [*a]}\n")
    found = read_yaml(tmp_path / "x.yaml", "x.yaml")
    assert (found["b"], found["c"]) == ({"k": 1, "l": 3}, {"k": 1, "l": 2})


def test_a_number_of_five_thousand_digits_is_one_line(tmp_path):
    (tmp_path / "x.yaml").write_text(f"a: {'9' * 5000}\n")
    with pytest.raises(UserError, match="x.yaml cannot be read as plain YAML"):
        read_yaml(tmp_path / "x.yaml", "x.yaml")
