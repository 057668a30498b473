"""Configurations: read as ESPnet reads them, but nothing is lost in silence."""

import pytest

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.overrides import join_asr_args, overrides_from_arguments


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "train.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_overrides_reach_into_the_configuration(written):
    path = written("encoder_conf:\n    dropout: 0.1\n    strides: [2, 2]\nmax_epoch: 3\n")
    config = load_config(path, ["encoder_conf.strides=[2]", "max_epoch=5", "optim_conf.lr=0.1"])
    assert config == {
        "encoder_conf": {"dropout": 0.1, "strides": [2]},
        "max_epoch": 5,
        "optim_conf": {"lr": 0.1},
    }


def test_a_whole_conf_is_merged_as_on_espnets_command_line(written):
    path = written("encoder_conf:\n    dropout: 0.1\n")
    overrides = overrides_from_arguments("--encoder_conf '{num_blocks: 2}'")
    assert load_config(path, overrides)["encoder_conf"] == {"dropout": 0.1, "num_blocks": 2}


def test_espnet_arguments_become_overrides():
    arguments = "--max_epoch 3 --encoder_conf dropout=0.2 --freeze_param ctc"
    more = " --keep_nbest_models 1 2 --init=''"
    assert overrides_from_arguments(arguments + more) == [
        "max_epoch=3",
        "encoder_conf.dropout=0.2",
        'freeze_param=["ctc"]',
        "keep_nbest_models=[1, 2]",
        "init=",
    ]


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--asr_args", "--max_epoch 2", "x"], ["--asr_args=--max_epoch 2", "x"]),
        (["--asr_args", "--max_epoch=2"], ["--asr_args=--max_epoch=2"]),
        (["--asr_args=--max_epoch 2", "x"], ["--asr_args=--max_epoch 2", "x"]),
        (["x", "--asr_args", ""], ["x", "--asr_args="]),
        (["--asr_args"], ["--asr_args"]),
    ],
)
def test_asr_args_and_their_value_become_one_word(argv, words):
    assert join_asr_args(argv) == words


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("3 --max_epoch 3", "'3' .* belongs to no --option"),
        ("--max_epoch", "--max_epoch needs a value"),
        ("--token_list 'a", "Cannot read the arguments"),
        ("--freeze_param [a", "not valid YAML"),
        ("--max_epoch 3 --output_dir exp/x", "may not hold --output_dir.* Give --asr_exp instead"),
        ("--config=x.yaml", "may not hold --config, .* Give --asr_config instead"),
    ],
)
def test_malformed_arguments_are_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        overrides_from_arguments(arguments)


@pytest.mark.parametrize(
    "text, words",
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' appears twice"),
        ("encoder_conf:\n  x: 1\n  x: 2\n", "line 3: key 'x' appears twice"),
        ("- a\n- b\n", "not a list"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['false']\n", "not valid YAML"),
    ],
)
def test_bad_yaml_is_refused(written, text, words):
    with pytest.raises(UserError, match=words):
        load_config(written(text))


def test_anchors_and_merges_work_and_an_empty_file_is_an_empty_configuration(written):
    config = load_config(written("base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\n"))
    assert config["other"] == {"x": 1, "y": 3}
    assert load_config(written("# nothing\n")) == {}


def test_a_missing_or_unreadable_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="Cannot read the configuration .*none.yaml"):
        load_config(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: é\n".encode("latin-1"))
    with pytest.raises(UserError, match="Cannot read"):
        load_config(latin)


@pytest.mark.parametrize("override", ["max_epoch", "=3", "a=[1"])
def test_a_malformed_override_is_refused(written, override):
    with pytest.raises(UserError, match="verride|not valid YAML"):
        load_config(written("a: 1\n"), [override])
