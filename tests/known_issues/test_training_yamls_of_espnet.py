"""Training configurations of ESPnet's recipes passed every check and ended in stage 11, or ended a
check with a traceback where nothing can be known before the weights are here."""

import logging
import sys

import pytest
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin import check_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.needs import check_needs
from tests.espnet.conftest import arguments, write_config

CONFORMER = {
    "encoder": "conformer", "normalize": "utterance_mvn",
    "encoder_conf": {"output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 1},
}  # fmt: skip
CTC = {**CONFORMER, "model_conf": {"ctc_weight": 1.0}}
S4 = {"input_layer": "embed", "prenorm": True, "n_layers": 1, "n_repeat": 1,
      "layer": [{"_name_": "s4", "keops": True}, {"_name_": "ff"}]}  # fmt: skip
MMS = {"upstream": "hf_wav2vec2_custom", "path_or_url": "facebook/mms-1b"}
TRANSDUCER = {**CTC, "decoder": "transducer", "joint_net_conf": {"joint_space_size": 16}}


def checked(tmp_path, config, *words) -> int:
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump(config))
    return check_config.main([str(path), *words])


@pytest.mark.parametrize(
    "changes",
    [
        {"decoder": "s4", "decoder_conf": S4, "model_conf": {"ctc_weight": 0.3}},
        {"frontend": "s3prl", "frontend_conf": {"frontend_conf": MMS, "multilayer_feature": True},
         "preencoder": "linear", "preencoder_conf": {"input_size": 1280, "output_size": 80}},
        {"frontend": "s3prl", "frontend_conf": {"frontend_conf": MMS, "layer": 3}},
        {"frontend": "s3prl", "frontend_conf": {"frontend_conf": {"upstream": "wavlm_large"}}},
        {"frontend": "none", "encoder": "wav2vec2", "normalize": "none",
         "encoder_conf": {"w2v_url": "https://example.org/nowhere.pt", "output_size": 16}},
    ],
)  # fmt: skip
def test_a_check_does_not_fail_where_it_cannot_know(tmp_path, changes):
    assert checked(tmp_path, {**CTC, **changes}, "--build") == 0


@pytest.mark.parametrize(
    ("changes", "package"),
    [
        (TRANSDUCER, "warprnnt_pytorch"),
        ({"encoder": "whisper", "encoder_conf": {}, "frontend": "none", "normalize": "none"},
         "whisper"),
        ({"decoder": "whisper", "model_conf": {"ctc_weight": 0.3}}, "whisper"),
        ({"encoder": "longformer"}, "longformer"),
        ({"ctc_conf": {"ctc_type": "brctc"}}, "k2"),
        ({"ctc_conf": {"ctc_type": "gtnctc"}}, "gtn"),
    ],
)  # fmt: skip
def test_a_package_that_is_not_here_is_told_before_anything_is_done(
    tmp_path, monkeypatch, changes, package
):
    monkeypatch.setitem(sys.modules, package, None)  # as where it is not installed
    with pytest.raises(UserError, match=rf"needs the package {package}, .*Install it \(") as error:
        checked(tmp_path, {**CTC, **changes})
    assert "\n" not in str(error.value)


def test_a_transducer_of_numba_needs_no_warprnnt(monkeypatch):
    monkeypatch.setitem(sys.modules, "warprnnt_pytorch", None)
    conf = {"transducer_multi_blank_durations": [2], "ctc_weight": 1.0}
    check_needs({**TRANSDUCER, "model_conf": conf}, "x.yaml")


def test_a_model_that_comes_from_the_network_is_named(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        checked(tmp_path, {**CTC, "frontend": "s3prl", "frontend_conf": {"frontend_conf": MMS}})
    assert "frontend s3prl takes facebook/mms-1b from the network or its cache" in caplog.text
    caplog.clear()
    here = {**MMS, "path_or_url": str(tmp_path)}
    checked(tmp_path, {**CTC, "frontend": "s3prl", "frontend_conf": {"frontend_conf": here}})
    assert not caplog.records


def test_a_yaml_without_normalize_is_told_that_espnets_script_makes_it_another(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        checked(tmp_path, {key: value for key, value in CTC.items() if key != "normalize"})
    assert "it is utterance_mvn" in caplog.text and "asr.sh makes it global_mvn" in caplog.text
    caplog.clear()
    checked(tmp_path, CTC)
    assert not caplog.records


@pytest.mark.parametrize(
    ("changes", "lengths"),
    [
        ({}, [80000, 150]),  # folded is ESPnet's default
        ({"batch_type": "folded"}, [80000, 150]),
        ({"fold_length": [7, 8]}, [7, 8]),
        ({"batch_type": "numel"}, []),
        ({"iterator_type": "task", "sampler": "group_duration"}, []),
        ({"iterator_type": "task", "sampler": "group_duration", "valid_iterator_type": "sequence"},
         [80000, 150]),
    ],
)  # fmt: skip
def test_folded_batches_get_the_lengths_that_espnets_script_gives(
    task, dump, tmp_path, changes, lengths
):
    from espnet2.samplers.build_batch_sampler import build_batch_sampler

    from asr_dro_plugin.espnet.start.checks import fill_fold_length

    config = write_config(tmp_path / "train.yaml", model="dro", **changes)
    given = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**{k: v for k, v in given.items() if k != "batch_type"},
                                      **changes}))  # fmt: skip
    words = arguments(dump, tmp_path / "exp", config)
    shapes = [str(dump / "train" / "speech_shape"), str(tmp_path / "text_shape.char")]
    (tmp_path / "text_shape.char").write_text(
        "".join(f"{utt_id} 9,12\n" for utt_id in read_table(dump / "train" / "speech_shape"))
    )
    args = task.get_parser().parse_args([*words, "--train_shape_file", shapes[1]])
    fill_fold_length(args)
    assert args.fold_length == lengths
    if args.iterator_type == "sequence" and args.batch_type == "folded":
        assert list(build_batch_sampler("folded", 4, 0, shapes, fold_lengths=args.fold_length))


@pytest.mark.parametrize("name", ["rnn", "vgg_rnn"])
def test_recurrent_encoders_take_a_batch_in_any_order(task, name):
    """A sampler of ours sorts no batch; ESPnet's encoders refused it."""
    from espnet2.tasks.asr import encoder_choices

    torch.manual_seed(0)
    conf = {"hidden_size": 4, "output_size": 4, "num_layers": 1}
    encoder = encoder_choices.get_class(name)(20, **conf).eval()
    speech, lengths = torch.randn(3, 30, 20), torch.tensor([11, 30, 21])
    out, out_lengths, _ = encoder(speech, lengths)
    order = torch.tensor([1, 2, 0])
    in_order, in_order_lengths, _ = encoder(speech[order], lengths[order])
    assert torch.equal(out[order], in_order) and torch.equal(out_lengths[order], in_order_lengths)
    assert out_lengths.argsort().tolist() == [0, 2, 1]
