"""A plan counts adapters and says in one line which stacks cannot have them."""

import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.summary import describe

pytest_plugins = ["tests.fixtures_ssl"]

XLSR_300M = {"width": 1024, "layers": 24}


def config(**changes):
    made = {
        "frontend": "none", "normalize": "none", "encoder": "hf_wav2vec2", "decoder": "none",
        "model_conf": {"ctc_weight": 1.0}, "ssl_checkpoint": "xlsr_300m", "use_adapter": True,
        "adapter": "lora", "adapter_conf": {"rank": 16, "target_modules": ["q_proj", "v_proj"]},
    }  # fmt: skip
    return made | changes


def slot(slots, name):
    return next(each for each in slots if each.name == name)


def test_adapters_of_a_checkpoint_that_is_not_here_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # nothing is fetched to downloads/
    plain = slot(describe(config(use_adapter=False, adapter_conf={}), 40), "encoder")
    added = XLSR_300M["layers"] * 2 * 16 * 2 * XLSR_300M["width"]
    lora = slot(describe(config(), 40), "encoder")
    assert (lora.trainable, lora.frozen) == (added, plain.trainable)
    assert lora.note == "with adapters (lora)"
    houlsby = config(adapter="houlsby", adapter_conf={"bottleneck": 32})
    added = XLSR_300M["layers"] * 2 * (2 * 1024 * 32 + 32 + 1024)
    assert slot(describe(houlsby, 40), "encoder").trainable == added


@pytest.mark.parametrize(
    "front",
    [{}, {"frontend": "s3prl", "encoder": "identity", "frontend_conf": {}}],
    ids=["hf_wav2vec2", "s3prl"],
)
def test_adapters_of_a_checkpoint_that_is_here_are_counted(tiny_ssl, front):
    conf = config(ssl_checkpoint=str(tiny_ssl.hf), **front)
    where = "frontend" if front else "encoder"
    plain = slot(describe({**conf, "use_adapter": False, "adapter_conf": {}}, 9), where)
    found = slot(describe(conf, 9), where)
    head = (len("ab") + 1) if front else 0  # weights of the sum over the layers
    assert found.trainable == 2 * 2 * 16 * (16 + 16) + head
    assert found.frozen == plain.trainable - head
    assert slot(describe(conf, 9), "ctc").frozen == 0


def test_the_head_learns_and_freeze_param_does_not_freeze_adapters(tiny_ssl):
    conf = config(ssl_checkpoint=str(tiny_ssl.hf), freeze_param=["encoder"])
    slots = describe(conf, 9)
    assert slot(slots, "encoder").trainable == 2 * 2 * 16 * (16 + 16)
    assert slot(slots, "ctc").trainable == 9 * (16 + 1)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"adapter_conf": {"rank": 0}}, "adapter_conf.rank must be at least 1"),
        ({"adapter_conf": {"rnak": 8}}, "'rnak' is no argument. Did you mean 'rank'"),
        ({"adapter_conf": {"rank": "8e"}}, "rank must be a whole number"),
        ({"adapter": "loar"}, "adapter is 'loar'"),
        ({"adapter": "houlsby"}, "'rank' is no argument"),
        ({"encoder": "wav2vec2"}, "Set encoder: fairseq_wav2vec2"),
        ({"adapter_conf": {"target_modules": ["query"]}}, "'query', which is no linear layer"),
        ({"adapter_conf": {"target_layers": [24]}}, "target_layers has 24, .* are 0 to 23"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_configuration_that_cannot_work_is_refused(changes, words):
    with pytest.raises(UserError, match=words) as error:
        check_config(config(**changes), "my.yaml")
    assert "\n" not in str(error.value) and str(error.value).startswith("my.yaml: ")


@pytest.mark.parametrize(
    "conf, number",
    [
        ({"target_modules": ["feature_projection.projection"]}, 8 * (512 + 1024)),
        ({"target_modules": ["encoder.net.model.encoder.layers.23.attention.q_proj"]}, 8 * 2048),
        ({"also_train": ["*.final_layer_norm", "encoder.net.model.feature_extractor"]}, None),
    ],
    ids=["projection", "whole_name", "also_train"],
)
def test_what_only_the_model_itself_can_tell_is_not_refused(conf, number):
    check_config(config(adapter_conf=conf), "my.yaml")
    assert slot(describe(config(adapter_conf=conf), 40), "encoder").trainable == number


def test_a_stack_without_a_pretrained_model_is_refused():
    conf = config(encoder="conv_ctc", frontend="default")
    del conf["ssl_checkpoint"]
    with pytest.raises(UserError, match="this stack has none .encoder conv_ctc."):
        check_config(conf, "my.yaml")


def test_a_target_that_the_model_does_not_have_is_refused_by_the_plan(tiny_ssl):
    conf = config(
        ssl_checkpoint=str(tiny_ssl.hf), adapter_conf={"target_modules": ["query"]}
    )  # fmt: skip
    with pytest.raises(UserError, match="'query', which is no linear layer.* q_proj"):
        describe(conf, 9)


def test_lora_in_s3prls_own_network_is_refused_by_the_plan(tiny_ssl):
    front = {"frontend": "s3prl", "encoder": "identity", "frontend_conf": {}}
    with pytest.raises(UserError, match="s3prl's layout.* Use adapter: houlsby"):
        describe(config(ssl_checkpoint=str(tiny_ssl.s3prl), **front), 9)


def test_settings_of_adapters_that_are_not_used_are_named_in_a_warning(caplog):
    check_config(config(use_adapter=False), "my.yaml")
    assert "adapter_conf: ignored, for use_adapter is false" in caplog.text
