"""What names and stages of the recipe follow from in the two configurations."""

import pytest

from asr_dro_plugin.bin import recipe_facts
from asr_dro_plugin.errors import UserError


def facts(capsys, tmp_path, training: str, decoding: str = "mode: greedy\n", *words: str) -> dict:
    files = [tmp_path / "train.yaml", tmp_path / "decode.yaml"]
    for file, text in zip(files, (training, decoding), strict=True):
        file.write_text(text, encoding="utf-8")
    assert recipe_facts.main([*map(str, files), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def test_what_the_training_configuration_leaves_out_has_its_default(capsys, tmp_path):
    found = facts(capsys, tmp_path, "encoder: conv_ctc\nmodel_conf: {ctc_weight: 1.0}\n")
    assert found["token_type"] == "char"
    assert found["normalize"] == "utterance_mvn"
    assert found["ssl_checkpoint"] == ""


def test_a_whisper_brings_its_tokens_and_its_name(capsys, tmp_path):
    found = facts(capsys, tmp_path, "decoder: hf_whisper\nssl_checkpoint: openai/whisper-small\n")
    assert found["token_type"] == "hugging_face"
    assert found["ssl_checkpoint"] == "openai/whisper-small"


def test_statistics_that_are_given_are_not_collected(capsys, tmp_path):
    stats = "normalize: global_mvn\nnormalize_conf: {stats_file: my.npz}\n"
    assert facts(capsys, tmp_path, stats)["normalize"] == "given"
    assert facts(capsys, tmp_path, "normalize: global_mvn\n")["normalize"] == "global_mvn"


def test_asr_args_come_on_top(capsys, tmp_path):
    words = ["--asr_args", "--normalize none --best_model_criterion valid,loss,min"]
    found = facts(capsys, tmp_path, "normalize: global_mvn\n", "mode: greedy\n", *words)
    assert found["normalize"] == "none"
    assert found["model_file"] == "valid.loss.ave.pth"


def test_a_language_model_is_wanted_where_the_decoding_mode_is_lm(capsys, tmp_path):
    found = facts(capsys, tmp_path, "{}", "mode: lm\nlm_unit: char\n")
    assert (found["lm_wanted"], found["lm_unit"]) == ("true", "char")
    assert facts(capsys, tmp_path, "{}")["lm_wanted"] == "false"


def test_a_text_rule_that_cannot_be_is_refused_before_anything_else(capsys, tmp_path):
    with pytest.raises(UserError, match="lower_no_punkt is not known"):
        facts(capsys, tmp_path, "{}", "mode: greedy\n", "--text_norm", "lower_no_punkt")
