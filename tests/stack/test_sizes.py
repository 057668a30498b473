"""Sizes are inferred; an explicit one that does not fit is refused with the one that would."""

import copy

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.sizes import resolve

pytest_plugins = ["tests.fixtures_ssl"]

LINEAR = {
    "frontend": "default",
    "frontend_conf": {"n_mels": 64},
    "preencoder": "linear",
    "preencoder_conf": {"output_size": 40},
    "encoder": "transformer",
    "encoder_conf": {"num_blocks": 1},
    "decoder": "none",
    "model_conf": {"ctc_weight": 1.0},
}
S3PRL = {**LINEAR, "frontend": "s3prl", "frontend_conf": {"multilayer_feature": True}}
RAW = {
    "frontend": "none",
    "preencoder": "none",
    "encoder": "wav2vec2",
    "decoder": "none",
    "model_conf": {"ctc_weight": 1.0},
}


def preencoder(config: dict, **conf) -> dict:
    return {**config, "preencoder_conf": {**config["preencoder_conf"], **conf}}


def test_the_preencoders_input_is_inferred_and_the_configuration_left_as_it_was():
    before = copy.deepcopy(LINEAR)
    assert resolve(LINEAR)["preencoder_conf"] == {"output_size": 40, "input_size": 64}
    assert before == LINEAR
    assert resolve(resolve(LINEAR)) == resolve(LINEAR)


def test_a_wrong_preencoder_size_is_refused_before_anything_is_read():
    with pytest.raises(UserError) as caught:
        check_config(preencoder(LINEAR, input_size=80), "x.yaml")
    assert str(caught.value) == (
        "x.yaml: preencoder_conf.input_size is 80, but frontend default gives 64. Legal: 64. "
        "Leave it out: it is inferred."
    )
    check_config(preencoder(LINEAR, input_size=64), "x.yaml")


def test_an_encoders_explicit_size_is_held_against_the_inferred_one_and_dropped():
    config = {**LINEAR, "encoder_conf": {"num_blocks": 1, "input_size": 40}}
    assert resolve(config)["encoder_conf"] == {"num_blocks": 1}
    config["encoder_conf"]["input_size"] = 64
    with pytest.raises(
        UserError, match="encoder_conf.input_size is 64, but preencoder linear gives"
    ):
        resolve(config)


@pytest.mark.parametrize("none", ["none", None, "NULL"])
def test_no_frontend_is_raw_audio_of_size_one(none):
    config = resolve({**RAW, "frontend": none, "encoder_conf": {"w2v_url": "x.pt"}})
    assert (config["frontend"], config["frontend_conf"], config["input_size"]) == (None, {}, 1)
    assert config["decoder"] is None and config["preencoder"] is None


def test_features_from_the_data_keep_their_size_as_in_espnet():
    config = resolve({"input_size": 83, "encoder": "transformer", "frontend": "default"})
    assert (config["input_size"], config["frontend"]) == (83, None)


def test_sizes_of_a_named_checkpoint_come_from_the_table():
    config = resolve({**S3PRL, "ssl_checkpoint": "xlsr_300m"})
    assert config["preencoder_conf"]["input_size"] == 1024
    wrong = preencoder({**S3PRL, "ssl_checkpoint": "xlsr_300m"}, input_size=768)
    with pytest.raises(UserError, match="input_size is 768, but frontend s3prl gives 1024"):
        resolve(wrong)
    assert resolve({**RAW, "ssl_checkpoint": "mms_300m"})["encoder_conf"] == {"output_size": 1024}


def test_sizes_of_a_local_checkpoint_come_from_its_content(tiny_ssl):
    for path in (tiny_ssl.hf, tiny_ssl.s3prl):
        config = resolve({**S3PRL, "ssl_checkpoint": str(path)})
        assert config["preencoder_conf"]["input_size"] == 16
    raw = {**RAW, "ssl_checkpoint": str(tiny_ssl.fairseq)}
    assert resolve(raw)["encoder_conf"] == {"output_size": 16}
    kept = {**raw, "encoder_conf": {"output_size": 24}}
    assert resolve(kept)["encoder_conf"] == {"output_size": 24}


def test_espnets_own_keys_are_followed_to_a_local_checkpoint(tiny_ssl):
    conf = {"upstream": "hf_wav2vec2_custom", "path_or_url": str(tiny_ssl.hf)}
    config = resolve({**S3PRL, "frontend_conf": {"frontend_conf": conf}})
    assert config["preencoder_conf"]["input_size"] == 16
    conf = {"w2v_url": tiny_ssl.fairseq.name, "w2v_dir_path": str(tiny_ssl.folder)}
    assert "output_size" not in resolve({**RAW, "encoder_conf": conf})["encoder_conf"]


def test_what_only_s3prl_knows_must_be_said():
    config = {**S3PRL, "frontend_conf": {"frontend_conf": {"upstream": "hubert_base"}}}
    with pytest.raises(UserError, match="cannot be inferred from frontend s3prl. Set it"):
        resolve(config)
    explicit = preencoder(config, input_size=768)
    assert resolve(explicit)["preencoder_conf"]["input_size"] == 768


def test_a_checkpoint_of_another_layout_is_refused(tiny_ssl):
    with pytest.raises(UserError, match="x.yaml: .*takes a fairseq file"):
        check_config({**RAW, "ssl_checkpoint": str(tiny_ssl.hf)}, "x.yaml")


def test_without_an_input_layer_the_encoder_is_as_wide_as_its_input():
    config = {**LINEAR, "encoder_conf": {"input_layer": "wav2vec", "output_size": 256}}
    with pytest.raises(
        UserError, match="output_size is 256, .* preencoder linear gives. Legal: 40"
    ):
        resolve(config)
    config["encoder_conf"]["output_size"] = 40
    resolve(config)
