"""What is recorded of a training is told; what is not is said to be so."""

import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.read.data_sets import read_set, recipe_of
from asr_dro_plugin.reporting.read.facts import (
    command_of,
    read_config,
    settings_of,
    versions_line,
    versions_of,
)
from asr_dro_plugin.reporting.read.machine import machine_line
from asr_dro_plugin.reporting.words import hours_words, listed, short_names, signed


def test_versions_come_from_the_log_where_no_file_has_them(tmp_path):
    (tmp_path / "train.log").write_text("x\n[vm] INFO: pytorch.version=2.13.0+cu130, cuda\n")
    line = versions_line(versions_of(tmp_path, {"version": "202611"}))
    assert line == "espnet 202611, torch 2.13.0+cu130, asr-dro and git and python not recorded"


def test_a_later_start_with_other_versions_is_told(tmp_path):
    first = {"asr-dro": "0.1.0", "git": 40 * "b" + "+", "espnet": "202611", "torch": "2.13.0",
             "python": "3.12.1", "numpy": "2.5.5", "from_update": 0}  # fmt: skip
    entries = [first, {"torch": "2.14.0", "from_update": 70}]
    (tmp_path / "versions.json").write_text(json.dumps(entries))
    assert versions_line(versions_of(tmp_path, {})) == (
        "asr-dro 0.1.0, git bbbbbbbbbb+, espnet 202611, torch 2.13.0, python 3.12.1, numpy 2.5.5; "
        "from update 70 on torch 2.14.0"
    )


def test_machine_time_and_memory_are_told_apart_from_versions():
    first = {"torch": "2", "cpu": "EPYC", "threads": "2", "from_update": 0, "wall_seconds": 600.0,
             "peak_memory_gib": 0.92}  # fmt: skip
    later = {**first, "cpu": "Xeon", "threads": "1", "from_update": 9, "peak_memory_gib": 0.5}
    line = machine_line([first, later])
    assert line == "Xeon, 1 thread; 20 min of wall time, 0.92 GiB of memory at most"
    assert "EPYC" not in versions_line([first]) and "600" not in versions_line([first])
    assert machine_line([{"torch": "2"}]) is None


@pytest.mark.parametrize("content", ["{", "{}", "[1]", "[]"])
def test_a_damaged_versions_file_is_as_none(tmp_path, content):
    (tmp_path / "versions.json").write_text(content)
    assert versions_of(tmp_path, {"version": "202611"}) == [{"espnet": "202611"}]


def test_the_command_is_that_of_the_recipe(tmp_path):
    text = '#!/bin/sh\n. ./path.sh\nexec python3 -m x --a b\\ c "$@"\n'
    (tmp_path / "run.sh").write_text(text)
    assert command_of(tmp_path) == "python3 -m x --a b\\ c"
    assert command_of(tmp_path / "absent") is None
    (tmp_path / "run.sh").write_text("echo by hand\n")
    assert command_of(tmp_path) is None


def test_settings_are_those_chosen_and_read():
    config = {"sampler": "group_duration", "sampler_conf": {"duration": 50.0}, "batch_bins": 9,
              "encoder": None, "use_amp": False, "optim": "adamw", "optim_conf": {}}  # fmt: skip
    assert settings_of(config) == [
        ("sampler", "group_duration (duration 50.0)"), ("optim", "adamw")
    ]  # fmt: skip
    assert ("batch_bins", "9") in settings_of(config | {"sampler": None})


def test_a_configuration_that_is_none_is_an_error_and_an_absent_one_empty(tmp_path):
    assert read_config(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match="config.yaml cannot be read"):
        read_config(tmp_path)


def test_hours_are_counted_by_language(tmp_path):
    (tmp_path / "utt2num_samples").write_text("a 16000\nb 32000\nc 16000\n")
    (tmp_path / "utt2lang").write_text("a eng\nb rus\n")
    (tmp_path / "text").write_text("a [eng] abc\nb [rus] де\nc\n")
    found = read_set(tmp_path)
    assert found.hours_by_language() == {"-": 1 / 3600, "eng": 1 / 3600, "rus": 2 / 3600}
    assert found.lengths == (3, 2, 0)


def test_paths_start_from_the_folder_that_holds_exp_and_dump(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r/exp/a").mkdir(parents=True)
    assert recipe_of(tmp_path / "r/exp/a") == tmp_path
    (tmp_path / "r/dump").mkdir()
    assert recipe_of(tmp_path / "r/exp/a") == tmp_path / "r"


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["asr_ctc", "asr_dro"], ["asr_ctc", "asr_dro"]),
        (["asr_train_ctc_dro_mini_raw_char", "asr_train_ctc_mini_raw_char"], ["ctc_dro", "ctc"]),
        (["asr_train_asr_alpha_mini_raw_prompts_char", "asr_train_asr_beta_mini_raw_prompts_char"],
         ["alpha", "beta"]),
        (["one_very_long_name_all_by_itself_here"], ["one_very_long_name_all_by_itself_here"]),
    ],
)  # fmt: skip
def test_long_names_lose_what_they_share(names, short):
    assert short_names(names) == short


def test_figures_are_written_for_readers():
    assert signed(-0.0234) == "\u22122.3"
    assert signed(0.0004) == signed(-0.0004) == "0.0"
    assert [hours_words(hours) for hours in (0.1, 3.44, 1234)] == ["6 min", "3.4 h", "1,234 h"]
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
