"""Versions are those of the process; a commit is told for a checkout only."""

import json
import logging
import subprocess
import sys

import torch

import asr_dro_plugin
from asr_dro_plugin.espnet.start import versions


def git(folder, *words):
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=b", *words], cwd=folder, check=True,
        capture_output=True,
    )  # fmt: skip


def test_the_commit_of_a_checkout_is_told_and_marked_where_files_are_changed(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "__init__.py").write_text("")
    assert versions.git_commit(tmp_path) is None  # not followed yet
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    commit = versions.git_commit(tmp_path)
    assert len(commit) == 40 and set(commit) <= set("0123456789abcdef")
    (tmp_path / "notes.txt").write_text("untracked")
    assert versions.git_commit(tmp_path) == commit
    (tmp_path / "__init__.py").write_text("changed")
    assert versions.git_commit(tmp_path) == f"{commit}+"


def test_a_package_installed_inside_of_somebodys_checkout_has_no_commit(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "readme").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "theirs")
    inner = tmp_path / "site-packages"
    inner.mkdir()
    (inner / "__init__.py").write_text("")
    assert versions.git_commit(inner) is None
    monkeypatch.setenv("PATH", "")
    assert versions.git_commit(tmp_path) is None  # nor without git


def test_optional_packages_are_named_where_they_were_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    found = versions.versions()
    assert found["asr-dro"] == asr_dro_plugin.__version__ and "transformers" not in found
    import transformers

    monkeypatch.setitem(sys.modules, "transformers", transformers)
    assert versions.versions()["transformers"] == transformers.__version__


def test_a_file_that_cannot_be_written_or_read_is_a_warning(tmp_path, caplog):
    (tmp_path / "versions.json").write_text("{torn")
    with caplog.at_level(logging.WARNING):
        versions.record_versions(tmp_path, 0)
    assert "versions.json is not written" in caplog.text
    (tmp_path / "versions.json").unlink()
    versions.record_versions(tmp_path, 7)
    assert json.loads((tmp_path / "versions.json").read_text())[0]["from_update"] == 7


def test_what_a_training_cost_is_added_over_its_starts_and_makes_no_new_entry(tmp_path):
    versions.record_versions(tmp_path, 0)
    versions.Costs(tmp_path).record()
    (first,) = json.loads((tmp_path / "versions.json").read_text())
    assert first["wall_seconds"] > 0 and first["peak_memory_gib"] > 0.01
    versions.record_versions(tmp_path, 7)  # the same programs
    again = versions.Costs(tmp_path)
    for _ in range(2):
        again.record()
    (entry,) = json.loads((tmp_path / "versions.json").read_text())
    assert 1.99 <= entry["wall_seconds"] / first["wall_seconds"] < 3  # four digits are kept
    assert entry["peak_memory_gib"] >= first["peak_memory_gib"]
    (tmp_path / "versions.json").unlink()
    again.record()  # a warning, no more


def test_a_start_with_other_threads_is_recorded_and_said(tmp_path, caplog, monkeypatch):
    versions.record_versions(tmp_path, 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    with caplog.at_level(logging.WARNING):
        versions.record_versions(tmp_path, 7)
    first, second = json.loads((tmp_path / "versions.json").read_text())
    assert (first["threads"], second["threads"]) == ("1", "3") and first["cpu"]
    assert "goes on with 3 threads after 1" in caplog.text
