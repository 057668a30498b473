"""A quota of a control group counts as fewer processors, in both versions of control groups."""

import os

import pytest

from asr_dro_plugin.base.processors import num_processors

ALL = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.mark.parametrize(("own", "where", "files"), [
    ("0::/\n", "", {"cpu__max": "100000 100000"}),  # a container of version 2
    ("0::/system.slice/asr.service\n", "system.slice", {"cpu__max": "50000 100000"}),  # one around
    ("4:cpu,cpuacct:/docker/1\n", "cpu",
     {"cpu__cfs_quota_us": "20000", "cpu__cfs_period_us": "100000"}),
    ("", "cpu", {"cpu__cfs_quota_us": "100000", "cpu__cfs_period_us": "100000"}),
])  # fmt: skip
def test_a_quota_of_one_processor_or_less_is_one(own, where, files, tmp_path):
    (tmp_path / "own").write_text(own)
    write(tmp_path / "groups" / where, **files)
    assert num_processors(tmp_path / "groups", tmp_path / "own") == 1


@pytest.mark.parametrize("files", [
    {}, {"cpu__max": "max 100000"}, {"cpu__max": "10000000 100000"}, {"cpu__max": "7 0"},
    {"cpu__max": "strange"}, {"cpu__cfs_quota_us": "-1", "cpu__cfs_period_us": "100000"},
])  # fmt: skip
def test_without_a_quota_all_that_the_affinity_allows_count(files, tmp_path):
    write(tmp_path / "groups", **files)
    assert num_processors(tmp_path / "groups", tmp_path / "missing") == ALL
