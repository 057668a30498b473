"""Slots that do not fit together are refused; the refusal says what would be legal."""

import logging

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.combinations import check_combinations, loss_of

MINI = {"encoder": "conv_ctc", "decoder": "none", "model_conf": {"ctc_weight": 1.0}}
RAW = {**MINI, "frontend": "none", "encoder": "wav2vec2", "ssl_checkpoint": "xlsr_300m"}
S3PRL = {**MINI, "frontend": "s3prl", "encoder": "identity"}


def nested(**conf) -> dict:
    return {**S3PRL, "frontend_conf": {"frontend_conf": conf}}


@pytest.mark.parametrize(
    "config",
    [
        MINI,
        RAW,
        {**S3PRL, "ssl_checkpoint": "mms_300m"},
        nested(upstream="hf_wav2vec2_custom", path_or_url="x"),
        {**MINI, "input_size": 80},  # features from the data, as in a plain ESPnet YAML
        {**RAW, "input_size": 1},
        {**MINI, "frontend": "sliding_window", "preencoder": "sinc"},
        {**MINI, "decoder": "transformer", "model_conf": {}},
        {**MINI, "freeze_param": ["encoder.blocks.0", "ctc"]},
        {**MINI, "freeze_param": ["*.bias", "encoder.*.[0-3]"]},
        {**MINI, "frontend_conf": {"fs": "16k"}},
    ],
)
def test_what_fits_passes(config):
    check_combinations(config, "x.yaml")


@pytest.mark.parametrize(
    "config, words",
    [
        ({**RAW, "frontend": "default"}, "takes the waveform itself, but frontend is default"),
        ({**RAW, "input_size": 80}, "input_size is 80, .*Legal: 1. Leave it out"),
        ({**MINI, "frontend": "none"}, "frontend is none, but encoder conv_ctc needs features.*"
         "s3prl.*wav2vec2"),
        ({**MINI, "frontend": "none", "input_size": 1}, "conv_ctc needs features"),
        ({**MINI, "frontend": "s3prl", "input_size": 80}, "frontend s3prl would be ignored"),
        ({**RAW, "specaug": "specaug"}, "specaug: none"),
        ({**MINI, "frontend_conf": {"fs": "8k"}}, "fs is 8k, .* Legal: 16k"),
        ({**MINI, "preencoder": "sinc"}, "sliding_window and preencoder sinc need each other"),
        ({**MINI, "frontend": "sliding_window"}, "need each other"),
        ({**MINI, "model_conf": {"ctc_weight": 0}}, "ctc_weight is 0, so the loss is cross entropy"
         ", which needs a decoder, but decoder is none. Legal: .*1.0, or decoder: transformer"),
        ({**MINI, "model_conf": {}}, "ctc_weight is by default 0.5.*CTC and attention"),
        ({**MINI, "model_conf": {"ctc_weight": 3}}, "ctc_weight is 3"),
        ({**MINI, "decoder": "linear_decoder"}, "needs model_conf.ctc_weight 0, not 1"),
        ({**MINI, "decoder": "transducer"}, "needs joint_net_conf"),
        ({**MINI, "ssl_checkpoint": "mms_300m"}, "neither frontend .default. nor encoder"),
        (S3PRL, "frontend s3prl names no pretrained model. Set ssl_checkpoint"),
        ({**RAW, "ssl_checkpoint": None}, "encoder wav2vec2 names no pretrained model"),
        (nested(upstream="wav2vec2_custm"), "Did you mean 'wav2vec2_custom'"),
        (nested(upstream="hubert", path="x"), "'path' is no argument.*path_or_url"),
        ({**nested(upstream="hubert"), "frontend_conf": {"frontend_conf": {"upstream": "hubert"},
          "layer": 3, "multilayer_feature": True}}, "both layer and multilayer_feature"),
        ({**MINI, "freeze_param": ["encodr.blocks"]}, "Did you mean 'encoder'"),
        ({**MINI, "freeze_param": ["preencoder"]}, "preencoder is none"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(config, words):
    with pytest.raises(UserError, match=f"^x.yaml: .*{words}"):
        check_combinations(config, "x.yaml")


def test_a_decoder_that_the_loss_ignores_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        check_combinations({**MINI, "decoder": "rnn"}, "x.yaml")
    assert "decoder rnn is ignored" in caplog.text


@pytest.mark.parametrize(
    "decoder, weight, loss",
    [
        ("none", 1.0, "ctc"),
        ("rnn", 0.3, "hybrid"),
        ("rnn", 0, "ce"),
        ("transducer", 0.3, "transducer"),
    ],
)
def test_the_loss_has_a_name(decoder, weight, loss):
    assert loss_of({"decoder": decoder, "model_conf": {"ctc_weight": weight}}) == loss
    assert loss_of({"decoder": "rnn"}) == "hybrid"
