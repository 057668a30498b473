"""The settings of log-mel features: what is legal, where from, and what plans make of them."""

import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.sizes import output_sizes

STACK = {
    "frontend": "log_mel",
    "normalize": "none",
    "encoder": "quartznet",
    "model": "dro",
    "model_conf": {"ctc_weight": 1.0},
}


@pytest.mark.parametrize("chosen", [{}, {"n_mels": 80, "f_max": 7600.0, "log": "clamp"}], ids=len)
def test_settings_survive_a_file(chosen):
    chosen = LogMelSettings(**chosen)
    assert LogMelSettings.from_dict(json.loads(json.dumps(chosen.to_dict()))) == chosen


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"windw": "hann"}, "Did you mean 'window'"),
        ({"window": "han"}, "Did you mean 'hann'"),
        ({"n_fft": 256}, "at least win_length"),
        ({"hop_length": 0}, "at least 1"),
        ({"f_max": 9000.0}, "half the sample rate"),
        ({"log_guard": -1.0}, "at least 0"),
        ({"center": False}, "frame_count"),
        ({"n_mels": "64"}, "a whole number"),
        ({"hop_length": 160.5}, "a whole number"),
        ({"log_guard": float("nan")}, "a number"),
        ({"preemphasis": True}, "a number"),
        ({"center": 1}, "true or false"),
    ],
)
def test_what_is_not_legal_is_refused_in_one_line(wrong, message):
    with pytest.raises(UserError, match=message) as refused:
        LogMelSettings.from_dict(wrong)
    assert "\n" not in str(refused.value)


GOLOS = {
    "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
    "normalize": "per_feature", "window_size": 0.02, "sample_rate": 16000, "window_stride": 0.01,
    "window": "hann", "features": 64, "n_fft": 512, "frame_splicing": 1, "dither": 1e-5,
    "stft_conv": False,
}  # fmt: skip


def test_nemos_settings_are_ours_by_default():
    assert LogMelSettings.from_nemo(GOLOS) == LogMelSettings()
    assert LogMelSettings.from_nemo({"params": GOLOS}) == LogMelSettings()


def test_other_nemo_settings_are_translated():
    given_ = {
        "sample_rate": 8000, "features": 80, "window_size": 0.025, "n_fft": None, "window": None,
        "normalize": "NA", "preemph": None, "log_zero_guard_type": "clamp", "mag_power": 1.0,
        "log_zero_guard_value": "eps", "dither": 0.0, "highfreq": 3800, "pad_to": 16,
    }  # fmt: skip
    assert LogMelSettings.from_nemo(given_) == LogMelSettings(
        sample_rate=8000, n_mels=80, win_length=200, hop_length=80, n_fft=256, window="ones",
        normalize="none", preemphasis=0.0, log="clamp", power=1.0, log_guard=2.0**-23, dither=0.0,
        f_max=3800,
    )  # fmt: skip
    assert LogMelSettings.from_nemo({**GOLOS, "log": False}).log == "none"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"_target_": "nemo.collections.asr.modules.AudioToMFCCPreprocessor"}, "MFCC"),
        ({"frame_splicing": 3}, "frame_splicing"),
        ({"exact_pad": True}, "exact_pad"),
        ({"normalize": {"fixed_mean": [0.0]}}, "normalize"),
        ({"new_in_2030": 1}, "new_in_2030"),
        ({"window_size": "???"}, "no setting"),
        ({"features": "???"}, "n_mels"),
        ({"log_zero_guard_value": "much"}, "much"),
        ({"log_zero_guard_value": []}, "no setting"),
    ],
)
def test_nemo_settings_that_are_not_computed_are_refused_by_name(change, named):
    with pytest.raises(UserError, match=named):
        LogMelSettings.from_nemo({**GOLOS, **change})


def test_a_plan_counts_frames_and_sizes():
    counter = frame_counter(STACK)
    assert counter.exact and counter.frame_shift == 0.02
    assert [counter.num_frames(n) for n in (0, 159, 160, 320, 16000, 16160)] == [0, 0, 1, 1, 50, 51]
    assert output_sizes(STACK, None) == {
        "frontend": 64, "preencoder": 64, "encoder": 1024, "postencoder": 1024,
    }  # fmt: skip
    blocks = [{"filters": 8, "kernel": 11, "stride": 2}, {"filters": 12, "stride": 2}]
    other = {
        **STACK,
        "frontend_conf": {"n_mels": 40, "pad_mode": "reflect", "frame_count": "all"},
        "encoder_conf": {"blocks": blocks},
    }
    assert output_sizes(other, None)["encoder"] == 12
    assert [frame_counter(other).num_frames(n) for n in (256, 257, 16000)] == [0, 1, 26]
    narrow = {**STACK, "encoder_conf": {"width": 0.0625}}
    assert output_sizes(narrow, None)["encoder"] == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize": "utterance_mvn"}, "normalises its features itself"),
        ({"frontend_conf": {"sample_rate": 8000}}, "the recipe's audio is 16 kHz"),
        ({"frontend_conf": {"window": "han"}}, "Did you mean 'hann'"),
        ({"frontend_conf": {"windw": "hann"}}, "windw"),
        ({"encoder_conf": {"blocks": [{"filter": 8}]}}, r"blocks\[0\]"),
        ({"encoder_conf": {"blocks": [7]}}, r"blocks\[0\]"),
    ],
)
def test_a_plan_refuses_what_would_fail_later(changes, message):
    check_config(STACK, "x.yaml")
    with pytest.raises(UserError, match=message) as refused:
        check_config({**STACK, **changes}, "x.yaml")
    assert "\n" not in str(refused.value)


def test_the_rate_of_the_features_is_the_recipes():
    from asr_dro_plugin import audio, features

    assert features.SAMPLE_RATE == audio.SAMPLE_RATE
