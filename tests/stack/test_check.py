"""A configuration that cannot be trained is refused with the key, the legal values and a hint."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.check import check_config, check_inference_config
from asr_dro_plugin.stack.espnet_options import TRAIN

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(ROOT.glob("conf/train_asr_*.yaml"))
GOOD = {
    "frontend": "default",
    "frontend_conf": {"fs": "16k", "hop_length": 160, "n_mels": 80},
    "specaug": "specaug",
    "specaug_conf": {"apply_time_warp": False},
    "normalize": "utterance_mvn",
    "preencoder": "linear",
    "preencoder_conf": {"output_size": 40},
    "encoder": "conv_ctc",
    "encoder_conf": {"hidden_size": 64, "strides": [2, 2]},
    "decoder": "none",
    "model": "dro",
    "model_conf": {"ctc_weight": 1.0},
    "ctc_conf": {"zero_infinity": True},
    "optim": "adamw",
    "optim_conf": {"lr": 0.002, "betas": [0.9, 0.98]},
    "scheduler": "onecyclelr",
    "scheduler_conf": {"max_lr": 0.002, "total_steps": 100},
    "max_epoch": 3,
    "best_model_criterion": [["valid", "loss", "min"]],
    "objective": "ctc_dro",
    "objective_conf": {"smoothing_rel": 0.6, "step_size_rel": 0.5},
}


def changed(**changes) -> dict:
    """``GOOD`` with changes; a mapping is merged, ``...`` removes."""
    config = copy.deepcopy(GOOD)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            config[key] |= value
        else:
            config[key] = value
        if value is ...:
            del config[key]
    return config


def refusal(config: dict) -> str:
    with pytest.raises(UserError) as caught:
        check_config(config, "x.yaml")
    message = str(caught.value)
    assert message.startswith("x.yaml: ") and "\n" not in message
    return message


def test_a_good_configuration_passes_and_is_left_as_it_was():
    config = copy.deepcopy(GOOD)
    check_config(config, "x.yaml")
    assert config == GOOD


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_passes(path):
    check_config(load_config(path), str(path))


@pytest.mark.parametrize("path", sorted(ROOT.glob("conf/decode_asr_*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_decoding_configuration_passes(path):
    assert read_decode_config(path)["mode"] in path.stem


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"max_epochs": 3}, ["'max_epochs' is no option", "Did you mean 'max_epoch'?"]),
        ({"encoder": "conv_ct"}, ["encoder is 'conv_ct'", "Did you mean 'conv_ctc'?", "identity"]),
        ({"frontend": "s3prll"}, ["Did you mean 's3prl'?", "wav2vec_cnn", "none"]),
        ({"optim": "adamW2"}, ["optim is 'adamw2'", "Did you mean 'adamw'?"]),
        ({"encoder": None}, ["encoder cannot be none", "conformer"]),
        ({"encoder_conf": {"hiden_size": 1}}, ["'hiden_size'", "Did you mean 'hidden_size'?"]),
        ({"model_conf": {"ctc_weigth": 1.0}}, ["Did you mean 'ctc_weight'?", "lsm_weight"]),
        ({"ctc_conf": {"zero_infinty": True}}, ["ctc_conf", "Did you mean 'zero_infinity'?"]),
        ({"frontend_conf": {"frontend_conf": {"use_wp": True}}}, ["Did you mean 'use_wpe'?"]),
        ({"objective": "ctcdro"}, ["objective is 'ctcdro'", "Did you mean 'ctc_dro'?", "none"]),
        ({"objective_conf": {"smoothing_real": 1}}, ["Did you mean 'smoothing_rel'?", "round_lim"]),
        ({"objective": "group_dro"}, ["'smoothing_rel' is no argument", "size_adjustment"]),
        (
            {"iterator_type": "task", "sampler": "duration"},
            ["sampler is 'duration'", "group_duration", "temperature"],
        ),
        (
            {"iterator_type": "task", "sampler_conf": {"max_repeat": 3}},
            ["'max_repeat' is no argument", "duration"],
        ),
        ({"encoder": "identity"}, ["'hidden_size' is no argument", "none at all"]),
        ({"batch_type": "num"}, ["batch_type is 'num'", "numel"]),
        ({"trackers": ["tensorboard", "wand"]}, ["trackers is 'wand'", "Did you mean 'wandb'?"]),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(changes, words):
    message = refusal(changed(**changes))
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"encoder_conf": {"hidden_size": "abc"}}, "hidden_size must be a whole number, not 'abc'"),
        ({"encoder_conf": {"hidden_size": None}}, "hidden_size must be a whole number"),
        ({"encoder_conf": {"strides": 2}}, "strides must be a list"),
        ({"optim_conf": {"lr": "1e-4"}}, "lr is '1e-4', which YAML reads as text. Write 1.0e-4."),
        ({"ctc_conf": {"zero_infinity": "yes"}}, "zero_infinity must be true or false"),
        ({"max_epoch": "many"}, "max_epoch must be a whole number, not 'many'"),
        ({"max_epoch": None}, "max_epoch must be a whole number, not None"),
        ({"use_amp": "perhaps"}, "use_amp must be true or false"),
        ({"freeze_param": "encoder"}, "freeze_param must be a list"),
        ({"trackers": "wandb"}, "trackers must be a list"),
        ({"optim_conf": ["lr"]}, "optim_conf must be a mapping"),
        ({"objective_conf": {"smoothing_rel": "1e-1"}}, "Write 1.0e-1."),
        ({"feature_grad_mult": "much"}, "feature_grad_mult must be a number"),
        ({"decoder_conf": None}, "decoder_conf must be a mapping"),
    ],
)
def test_a_wrong_type_is_refused(changes, words):
    assert words in refusal(changed(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"max_epoch": "3", "grad_clip": "1e-4", "use_amp": "true", "patience": "none"},
        {"encoder": "CONV_CTC", "specaug": "none", "specaug_conf": {}},
        {"keep_nbest_models": 5, "chunk_length": "100", "max_cache_size": "2GB"},
        {"encoder_conf": {"dropout": 0}},
        {"scheduler": None, "scheduler_conf": {}},
        {"log_level": "info", "iterator_type": "none"},
    ],
)
def test_what_espnets_parser_takes_is_taken(changes):
    config = changed(**changes)
    for conf in ("specaug_conf", "scheduler_conf"):
        if changes.get(conf) == {}:
            config[conf] = {}
    check_config(config, "x.yaml")


def test_arguments_of_an_empty_slot_and_of_the_task_are_refused():
    assert "specaug_conf is given, but specaug is none" in refusal(changed(specaug=None))
    assert "vocab_size is set by the task" in refusal(changed(model_conf={"vocab_size": 3}))
    assert "objective is set by the task" in refusal(changed(model_conf={"objective": "ctc"}))
    assert "group_names is set" in refusal(changed(objective_conf={"group_names": ["a"]}))


def test_the_reference_of_the_signal_excess_is_a_file():
    check_config(changed(objective_conf={"signal": "excess", "reference": "a.json"}), "x.yaml")


def test_a_missing_argument_without_default_is_named():
    message = refusal(changed(preencoder_conf={"output_size": ...}, preencoder=...) | {
        "preencoder": "linear", "preencoder_conf": {"dropout": 0.1},
    })  # fmt: skip
    assert "preencoder_conf of preencoder linear: output_size is missing" in message


RANDOM = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 100), st.floats(allow_nan=True), st.just("1e-4"),
    st.text("ab1 .", max_size=4), st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["none", "s3prl", "wav2vec2", "identity", "linear", "sinc", "conformer"]),
    st.dictionaries(st.sampled_from(["upstream", "output_size", "x"]), st.integers(), max_size=2),
)  # fmt: skip
KEYS = [*TRAIN, "x"]
ARGUMENTS = ["frontend_conf", "hop_length", "n_mels", "layer", "ctc_weight", "input_size", "x",
             "strides", "lr", "input_layer", "output_size", "shapes", "w2v_url", "fs"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), RANDOM, max_size=4),
       st.lists(st.tuples(st.sampled_from(sorted(k for k in GOOD if k.endswith("_conf"))),
                          st.sampled_from(ARGUMENTS), RANDOM), max_size=3))  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_whatever_is_in_the_yaml_the_answer_is_yes_or_one_line(changes, arguments):
    config = {**copy.deepcopy(GOOD), **changes}
    for conf, key, value in arguments:
        if isinstance(config[conf], dict):
            config[conf][key] = value
    try:
        check_config(config, "x.yaml")
    except UserError as error:
        assert "\n" not in str(error)


def test_decoding_options_are_checked():
    check_inference_config({"mode": "espnet", "beam_size": 5, "ctc_weight": 1.0}, "d.yaml")
    for config, words in [
        ({"beam": 3}, "Did you mean 'beam_size'"),
        ({"mode": "gredy"}, "Did you mean 'greedy'"),
        ({"beam_size": 0}, "beam_size must be above 0"),
        ({"ctc_weight": 1.5}, "ctc_weight must be at least 0 and at most 1, not 1.5"),
        ({"penalty": "no"}, "penalty must be a number"),
    ]:
        with pytest.raises(UserError, match=words):
            check_inference_config(config, "d.yaml")


def test_a_typo_is_answered_at_once_and_imports_neither_torch_nor_espnet(tmp_path):
    path = tmp_path / "typo.yaml"
    path.write_text("encoder: conv_ctc\nencoder_conf:\n    hiden_size: 3\n")
    code = (
        "import sys\n"
        "from asr_dro_plugin.bin import check_config\n"
        "from asr_dro_plugin.errors import UserError\n"
        "try:\n    check_config.main(sys.argv[1:])\n"
        "except UserError as error:\n    print(error)\n"
        "print([m for m in ('torch', 'espnet2', 's3prl') if m in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    message, modules = run.stdout.splitlines()
    assert "Did you mean 'hidden_size'?" in message
    assert modules == "[]"
