"""What the command line changes in a decoding configuration, told before a model is loaded."""

import argparse

import pytest

from asr_dro_plugin.decoding.command_line import add_decode_options, settings_of
from asr_dro_plugin.decoding.options import check_lm_dir
from asr_dro_plugin.errors import UserError

ARPA = "\\data\\\nngram 1=2\nngram 2=0\n\n\\1-grams:\n-1 <s>\n-1 hello\n\n\\2-grams:\n\n\\end\\\n"


def parsed(*words, config=None):
    parser = argparse.ArgumentParser()
    add_decode_options(parser)
    args = parser.parse_args(list(words))
    args.config = config
    return args


def check(args):
    check_lm_dir(settings_of(args, ["text"]), args.lm_dir, args.config)


@pytest.fixture
def lm_dir(tmp_path):
    """A folder with a joint model of words."""
    (tmp_path / "joint").mkdir()
    (tmp_path / "joint/lm.arpa").write_text(ARPA)
    return str(tmp_path)


def test_without_a_configuration_the_options_choose_the_mode(lm_dir):
    assert settings_of(parsed(), ["text"])["mode"] == "greedy"
    assert settings_of(parsed("--nbest", "3"), ["text"])["mode"] == "beam"
    assert settings_of(parsed("--lm_dir", lm_dir), ["text"])["mode"] == "lm"


@pytest.mark.parametrize(
    ("own", "words", "mode"),
    [
        ("greedy", [], "greedy"), ("beam", [], "beam"), ("lm", [], "lm"),
        ("greedy", ["--nbest", "2"], "beam"), ("lm", ["--nbest", "2"], "lm"),
        ("beam", ["--lm_dir", "x"], "lm"), ("lm", ["--lm_dir", "x"], "lm"),
    ],
)  # fmt: skip
def test_a_models_own_configuration_serves_where_it_can(own, words, mode):
    """Told apart by its blank penalty, which is no default."""
    given = {"mode": own, "blank_penalty": 0.5}
    found = settings_of(parsed(*words), ["text"], own=given)
    assert found["mode"] == mode
    assert found["blank_penalty"] == (0.5 if mode == own else 0.0)
    assert found.get("nbest", 1) == (2 if "--nbest" in words else 1)


def test_formats_with_times_switch_times_on():
    assert not settings_of(parsed(), ["text"])["times"]
    assert settings_of(parsed(), ["text", "srt"])["times"]


def test_a_model_of_another_unit_is_refused_before_anything_is_loaded(lm_dir, tmp_path):
    config = tmp_path / "decode.yaml"
    config.write_text("mode: lm\nlm_unit: char\n")
    with pytest.raises(UserError, match="is a model of unit word.* asks for lm_unit char"):
        check(parsed("--lm_dir", lm_dir, config=str(config)))


@pytest.mark.parametrize(
    ("mode", "words", "said"),
    [
        ("lm", [], "needs a language model"),
        ("lm", ["--lm_dir", "nowhere"], "does not exist"),
        ("greedy", ["--lm_dir", "nowhere"], "does not use --lm_dir"),
    ],
)
def test_a_language_model_that_is_absent_or_ignored_is_refused(tmp_path, mode, words, said):
    config = tmp_path / "decode.yaml"
    config.write_text(f"mode: {mode}\n")
    with pytest.raises(UserError, match=said):
        check(parsed(*words, config=str(config)))
