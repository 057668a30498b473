"""Which stacks may train from features that were computed once, and how large these are."""

import numpy as np
import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.extraction import (
    bytes_a_frame,
    check_extraction,
    extraction_problems,
    fewer_bytes,
    frontend_frames,
)

SIZES = {"model_type": "whisper", "d_model": 512, "encoder_layers": 6}
WHISPER = {
    "frontend": "hf_whisper", "frontend_conf": {"model_config": SIZES}, "encoder": "conv_ctc",
    "decoder": "none", "model_conf": {"ctc_weight": 1.0}, "freeze_param": ["frontend.net.model"],
}  # fmt: skip
S3PRL = {
    **WHISPER, "frontend": "s3prl", "frontend_conf": {"multilayer_feature": True},
    "ssl_checkpoint": "xlsr_300m", "freeze_param": ["frontend.upstream"],
}  # fmt: skip


@pytest.mark.parametrize("config", [WHISPER, S3PRL, {**WHISPER, "freeze_param": ["frontend"]}])
def test_a_frozen_model_has_no_problem(config):
    assert list(extraction_problems(config)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frontend": "log_mel", "frontend_conf": {}}, "frontend log_mel has no hidden states"),
        ({"frontend": "none", "encoder": "hf_whisper"}, "frontend none has no hidden states"),
        ({"freeze_param": []}, "not frozen. Set freeze_param: .frontend.net.model"),
        ({"freeze_param": ["frontend.net.model.layers.0"]}, "not frozen"),
        ({"freeze_param": ["frontend.*.bias"]}, "not frozen"),
        ({"use_adapter": True, "adapter": "lora"}, "use_adapter changes the pretrained model"),
        ({"freeze_finetune_updates": 10}, "learns from update 10 on"),
        ({"noise_scp": "noise.scp"}, "noise_scp would change the waveform"),
        ({"speech_volume_normalize": 1.0}, "speech_volume_normalize would change the waveform"),
        ({"preprocessor_conf": {"data_aug_effects": [[1, "x"]]}}, "data_aug_effects would"),
        ({"frontend_conf": {"model_config": SIZES, "dropout": 0.1}}, "dropout would be ignored"),
    ],
)
def test_what_training_would_lose_is_refused_with_the_remedy(changes, words):
    with pytest.raises(UserError, match=words) as caught:
        check_extraction({**WHISPER, **changes}, "x.yaml")
    assert "--feats_type raw" in str(caught.value) and "\n" not in str(caught.value)


def test_a_frame_has_each_state_in_two_bytes():
    assert bytes_a_frame(WHISPER) == 7 * 512 * 2
    layers = {"model_config": SIZES, "layers": [3, -1]}
    assert bytes_a_frame({**WHISPER, "frontend_conf": layers}) == 2 * 512 * 2
    assert bytes_a_frame(S3PRL) == 25 * 1024 * 2
    assert bytes_a_frame({**S3PRL, "frontend_conf": {}}) == 1024 * 2
    unknown = {**S3PRL, "ssl_checkpoint": None, "frontend_conf": {"multilayer_feature": True}}
    unknown["frontend_conf"]["frontend_conf"] = {"upstream": "apc"}
    assert bytes_a_frame(unknown) is None


def test_frames_follow_the_frontend_alone():
    samples = np.array([16000, 16001, 320])
    pooled = {**WHISPER, "frontend_conf": {"model_config": SIZES, "pool": 2}}
    assert frontend_frames(WHISPER, samples).tolist() == [50, 50, 1]
    assert frontend_frames(pooled, samples).tolist() == [25, 25, 1]
    assert frontend_frames(S3PRL, samples).tolist() == [50, 51, 1]


def test_what_makes_them_smaller_are_arguments_that_there_are():
    assert fewer_bytes(WHISPER) == "fewer frontend_conf.layers or a larger frontend_conf.pool"
    assert fewer_bytes(S3PRL) == "one frontend_conf.layer instead of all"
