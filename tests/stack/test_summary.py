"""The plan's sizes and parameter counts are those of the models that training builds."""

import argparse
from pathlib import Path

import pytest

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.auxiliary import aux_layers
from asr_dro_plugin.stack.names import SLOTS
from asr_dro_plugin.stack.parameters import TABLE_FEATURE_EXTRACTOR
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.stack.summary import describe

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(ROOT.glob("conf/train_asr_*.yaml"))
TOKENS = ["<blank>", "<unk>", "a", "b", "<sos/eos>"]
CTC = {"decoder": "none", "model": "dro", "model_conf": {"ctc_weight": 1.0}}
TRANSFORMER = {
    "encoder": "transformer",
    "encoder_conf": {"num_blocks": 2, "output_size": 8, "attention_heads": 2, "linear_units": 16},
}
STACKS = {
    "fbank_conv": {**CTC, "encoder": "conv_ctc", "encoder_conf": {"hidden_size": 16}},
    "linear_transformer": {
        **CTC, **TRANSFORMER, "preencoder": "linear", "preencoder_conf": {"output_size": 12},
        "freeze_param": ["preencoder", "encoder.encoders.0"],
    },
    "default_rnn": {**CTC, "encoder_conf": {"hidden_size": 8, "output_size": 6}},
    "conformer": {
        **CTC, "encoder": "conformer",
        "encoder_conf": {"num_blocks": 1, "output_size": 8, "linear_units": 8},
    },
    "hybrid": {
        **TRANSFORMER, "decoder": "transformer", "model_conf": {"ctc_weight": 0.3},
        "decoder_conf": {"num_blocks": 1, "linear_units": 8},
        "postencoder": "length_adaptor", "postencoder_conf": {"length_adaptor_n_layers": 1},
    },
    "dropped_decoder": {**TRANSFORMER, **CTC, "decoder": "transformer"},
    "cross_entropy": {**TRANSFORMER, "decoder": "rnn", "model_conf": {"ctc_weight": 0.0}},
    "transducer": {
        **TRANSFORMER, "decoder": "transducer", "decoder_conf": {"hidden_size": 8},
        "joint_net_conf": {"joint_space_size": 6}, "model_conf": {"ctc_weight": 0.0},
    },
    "sinc": {
        **CTC, **TRANSFORMER, "frontend": "sliding_window", "preencoder": "sinc",
        "preencoder_conf": {"fs": "16k", "out_channels": 128},
    },
    "beamformer": {**CTC, "frontend_conf": {"frontend_conf": {"use_wpe": True, "wlayers": 1}}},
}  # fmt: skip


def built(config: dict):
    """The model that our task trains, with ``freeze_param`` applied as ESPnet does."""
    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.espnet.task import DROASRTask

    args = vars(DROASRTask.get_default_config() and DROASRTask.get_parser().parse_args([]))
    model = DROASRTask.build_model(argparse.Namespace(**{**args, **config, "token_list": TOKENS}))
    for prefix in config.get("freeze_param", []):
        for name, parameter in model.named_parameters():
            if name.startswith(prefix + ".") or name == prefix:
                parameter.requires_grad = False
    return model


def counts(module) -> tuple[int, int]:
    if module is None:
        return 0, 0
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return trainable, sum(p.numel() for p in module.parameters()) - trainable


def check_against_the_model(config: dict) -> None:
    model = built(config)
    for slot in describe(config, len(TOKENS)):
        module = getattr(model, slot.name)
        assert (slot.trainable, slot.frozen) == counts(module), slot
        if hasattr(module, "output_size") and slot.name in SLOTS:
            assert slot.output_size == module.output_size(), slot


@pytest.mark.parametrize("name", [name for name in STACKS if name != "transducer"])
def test_counts_and_sizes_are_those_of_the_real_model(name):
    check_against_the_model({k: v for k, v in STACKS[name].items() if v != "none"})


def test_a_transducers_joint_network_counts_with_its_decoder():
    """From the modules: the whole model needs a loss that the environment does not hold."""
    from espnet2.asr.decoder.transducer_decoder import TransducerDecoder
    from espnet2.asr_transducer.joint_network import JointNetwork

    decoder = TransducerDecoder(len(TOKENS), hidden_size=8, embed_pad=0)
    joint = JointNetwork(len(TOKENS), 8, decoder.dunits, joint_space_size=6)
    slot = next(s for s in describe(STACKS["transducer"], len(TOKENS)) if s.name == "decoder")
    assert slot.trainable == counts(decoder)[0] + counts(joint)[0]


@pytest.mark.parametrize("multilayer, layer", [(True, -1), (False, -1), (False, 1)])
@pytest.mark.parametrize("layout", ["hf", "s3prl"])
def test_counts_of_a_local_s3prl_checkpoint(tiny_ssl, layout, multilayer, layer):
    config = {
        **CTC, "frontend": "s3prl", "encoder": "identity",
        "ssl_checkpoint": str(getattr(tiny_ssl, layout)),
        "frontend_conf": {"multilayer_feature": multilayer, "layer": layer},
        "freeze_param": ["frontend.upstream"],
    }  # fmt: skip
    del config["decoder"]
    check_against_the_model(config)


@pytest.mark.parametrize("conf", [{}, {"layers": [1], "pool": 2}])
def test_counts_of_a_local_whisper_in_front(tiny_whisper, conf):
    config = {
        **CTC, "frontend": "hf_whisper", "frontend_conf": conf, "encoder": "identity",
        "ssl_checkpoint": str(tiny_whisper), "freeze_param": ["frontend.net.model"],
    }  # fmt: skip
    check_against_the_model(config)
    assert describe(config, 5)[0].trainable == (1 if conf else 3)  # weights of the sum
    check_against_the_model({**config, "freeze_param": [], "freeze_cnn": True})
    lora = {"use_adapter": True, "adapter_conf": {"rank": 2, "target_modules": ["q_proj"]}}
    whole = sum(slot.trainable + slot.frozen for slot in describe({**config, **lora}, 5))
    plain = sum(slot.trainable + slot.frozen for slot in describe(config, 5))
    assert whole - plain == (1 if conf else 2) * 2 * (16 + 16)  # layers x rank x (in + out)


@pytest.mark.parametrize("size", [16, 24])
def test_counts_of_a_local_fairseq_checkpoint(tiny_ssl, size):
    config = {
        "model_conf": {"ctc_weight": 1.0}, "frontend": None, "encoder": "wav2vec2",
        "ssl_checkpoint": str(tiny_ssl.fairseq),
        "encoder_conf": {"output_size": size, "normalize_before": True},
        "freeze_param": ["encoder.encoders.feature_extractor"],
    }  # fmt: skip
    check_against_the_model(config)
    encoder = describe(config, 5)[4]
    assert encoder.source == "file" and encoder.frozen > 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_described(path, tiny_ssl, tiny_whisper):
    config, is_tiny = load_config(path), path.stem.endswith("_tiny")
    if is_tiny and config.get("ssl_checkpoint"):
        is_whisper = "hf_whisper" in (config["frontend"], config["encoder"])
        config["ssl_checkpoint"] = str(tiny_whisper if is_whisper else tiny_ssl.hf)
    slots = describe(config, 50)
    untold = ["ctc_aux"] if aux_layers(config) else []  # whose units only an experiment tells
    assert [slot.name for slot in slots] == [*SLOTS, "ctc", *untold]
    assert [slot.name for slot in slots if slot.trainable is None] == untold
    assert sum(slot.trainable or 0 for slot in slots) > (2_000 if is_tiny else 100_000)


def test_a_hubs_model_is_unknown_until_it_is_here():
    stack = {"frontend": "none", "encoder": "hf_wav2vec2", "model_conf": {"ctc_weight": 1.0}}
    slots = describe({**stack, "ssl_checkpoint": "someone/something"}, 50)
    assert [slot.name for slot in slots if slot.trainable is None] == ["encoder", "ctc"]


def test_a_linear_preencoder_waits_for_the_width_of_a_hubs_model():
    stack = {"frontend": "hf_whisper", "preencoder": "linear", "encoder": "identity"}
    config = {**stack, "preencoder_conf": {"output_size": 8}, "model_conf": {"ctc_weight": 1.0}}
    slots = {slot.name: slot for slot in describe({**config, "ssl_checkpoint": "org/whisper"}, 50)}
    assert slots["frontend"].trainable is None and slots["preencoder"].trainable is None
    assert slots["encoder"].output_size == 8
    known = {**config, "ssl_checkpoint": "openai/whisper-base"}
    slots = {slot.name: slot for slot in describe(known, 50)}
    assert slots["preencoder"].trainable == (512 + 1) * 8


def test_without_a_token_list_only_what_needs_it_is_unknown():
    slots = {slot.name: slot for slot in describe(STACKS["hybrid"], None)}
    assert slots["ctc"].trainable is None and slots["decoder"].output_size is None
    assert slots["encoder"].trainable > 0


RAW = {**CTC, "frontend": "none", "encoder": "wav2vec2", "ssl_checkpoint": "xlsr_300m"}


@pytest.mark.parametrize(
    "prefix, frozen",
    [
        ("encoder", 317_390_592),
        ("encoder.encoders.feature_extractor", TABLE_FEATURE_EXTRACTOR),
        ("encoder.encoders.encoder.layers.0", None),
        ("ctc", 0),
    ],
)
def test_a_checkpoint_that_is_not_here_is_counted_from_the_table(prefix, frozen):
    slot = describe({**RAW, "freeze_param": [prefix]}, 50)[4]
    assert (slot.source, slot.frozen) == ("table", frozen)
    if frozen is not None:
        assert slot.trainable + slot.frozen == 317_390_592


@pytest.mark.parametrize("encoder", ["hf_wav2vec2", "fairseq_wav2vec2"])
def test_heads_for_pretraining_are_no_part_of_an_encoder(encoder):
    config = RAW | {"encoder": encoder, "normalize": "none"}
    slots = {slot.name: slot for slot in describe(config, None)}
    assert slots["encoder"].trainable == 315_438_720  # though fairseq's file has 317,390,592


def test_the_tables_feature_extractor_is_the_published_one():
    import torch
    from transformers import Wav2Vec2Config
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

    config = Wav2Vec2Config(feat_extract_norm="layer", conv_bias=True)
    with torch.device("meta"):
        module = Wav2Vec2FeatureEncoder(config)
    assert sum(p.numel() for p in module.parameters()) == TABLE_FEATURE_EXTRACTOR


@pytest.mark.parametrize(
    ("changes", "frozen"),
    [
        ({"freeze_cnn": True}, TABLE_FEATURE_EXTRACTOR),
        ({"feature_grad_mult": 0}, TABLE_FEATURE_EXTRACTOR),
        ({"feature_grad_mult": 0.1}, 0),
        ({"freeze_param": ["encoder.*.layers.[0-5]"]}, None),
        ({"freeze_param": ["enc*"]}, 317_390_592),
        ({"freeze_param": ["*bias"]}, None),
        ({"freeze_param": ["ct*"]}, 0),
    ],
)
def test_frozen_convolutions_and_patterns_are_counted_where_they_can_be(changes, frozen):
    assert describe({**RAW, **changes}, 50)[4].frozen == frozen


@pytest.mark.parametrize("layout", ["hf", "fairseq"])
def test_frozen_convolutions_of_a_file_are_those_that_training_freezes(tiny_ssl, layout):
    slot = (
        {"frontend": None, "encoder": "wav2vec2"}
        if layout == "fairseq"
        else {"frontend": "s3prl", "encoder": "identity"}
    )
    conf = {"model_conf": {"ctc_weight": 1.0}, "ssl_checkpoint": str(getattr(tiny_ssl, layout))}
    check_against_the_model({**conf, **slot, "freeze_cnn": True})


@pytest.mark.parametrize(
    "conf",
    [
        {"encoder_conf": {"freeze_finetune_updates": 500}},
        {"freeze_finetune_updates": 500},
        {"freeze_finetune_updates": 500, "encoder": "fairseq_wav2vec2"},
    ],
)
def test_updates_without_finetuning_are_noted(conf):
    assert "first 500 updates" in describe({**RAW, **conf}, 50)[4].note


@pytest.mark.parametrize(
    "config, words",
    [
        ({**CTC, "encoder": "conv_ctc", "encoder_conf": {"kernel_size": 4}}, "must be odd, not 4"),
        ({**CTC, **TRANSFORMER, "freeze_param": ["encoder.layers.0"]}, "There are encoder.after"),
        (
            {**CTC, "encoder": "transformer", "encoder_conf": {"attention_heads": 3}},
            "encoder_conf of encoder transformer is refused",
        ),
    ],
)
def test_what_a_module_refuses_is_one_line(config, words):
    with pytest.raises(UserError, match=words) as caught:
        describe(config, 50)
    assert "\n" not in str(caught.value)


def test_resolving_first_changes_nothing():
    for config in STACKS.values():
        assert describe(resolve(config), 5) == describe(config, 5)
