"""A dropout of 2 or a mask of length 0 ended a training at its first batch, in a traceback."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.nets.whisper_layers import WhisperSizes
from asr_dro_plugin.stack.training_rules import check_training

WAV2VEC2 = {
    "model_type": "wav2vec2", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
WRONG = {
    "mask_time_prob": 1.5, "mask_time_length": 0, "mask_feature_length": 0,
    "attention_dropout": 2.0,
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_whisper_refuses_it_when_it_is_built(name):
    WhisperSizes.of({}, **{name: 1})
    with pytest.raises(ValueError, match=f"{name} is {WRONG[name]}"):
        WhisperSizes.of({}, **{name: WRONG[name]})


@pytest.mark.parametrize("name", [*WRONG, "layerdrop"])
def test_a_wav2vec2_refuses_it_when_it_is_built(name):
    from asr_dro_plugin.espnet.parts.hf_wav2vec2 import HFWav2Vec2Encoder

    value = WRONG.get(name, -0.1)
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        HFWav2Vec2Encoder(WAV2VEC2, **{name: value})


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="d_model 10 is not divided by 3 heads"):
        WhisperSizes.of({"d_model": 10, "encoder_attention_heads": 3})


@pytest.mark.parametrize("name", WRONG)
def test_a_yaml_is_refused_before_anything_is_built(name):
    config = {"encoder": "hf_wav2vec2", "encoder_conf": {name: 1, "layerdrop": None}}
    check_training(config, "x.yaml")
    with pytest.raises(UserError, match=f"x.yaml: encoder_conf.{name} is {WRONG[name]}"):
        check_training({**config, "encoder_conf": {name: WRONG[name]}}, "x.yaml")
