"""ESPnet's own encoders, frontends and decoders stay usable: each learns one batch in our task."""

import json

import pytest

from tests.espnet.conftest import arguments, write_config

pytest_plugins = ["tests.fixtures_ssl"]

CONFORMER = {
    "output_size": 16, "attention_heads": 2, "linear_units": 32, "num_blocks": 1,
    "cnn_module_kernel": 5, "input_layer": "conv2d2", "dropout_rate": 0.0,
}  # fmt: skip
DECODER = {"attention_heads": 2, "linear_units": 32, "num_blocks": 1}
RAW = {"frontend": "none", "frontend_conf": {}, "normalize_conf": {"norm_vars": True}}

STACKS = {
    "e_branchformer": {
        "encoder": "e_branchformer",
        "encoder_conf": {
            "output_size": 16, "attention_heads": 2, "linear_units": 32, "cgmlp_linear_units": 32,
            "num_blocks": 1, "cgmlp_conv_kernel": 5, "merge_conv_kernel": 3, "use_ffn": True,
            "macaron_ffn": True, "input_layer": "conv2d2",
        },
    },
    "attention": {
        "encoder": "conformer", "encoder_conf": CONFORMER, "model_conf": {"ctc_weight": 0.0},
        "decoder": "transformer", "decoder_conf": DECODER,
    },
    "espnets_loss": {
        "encoder": "conformer", "encoder_conf": CONFORMER, "model": "espnet", "objective": "none",
    },
    "s3prl": {
        "frontend": "s3prl", "frontend_conf": {"multilayer_feature": True}, "encoder": "conformer",
        "preencoder": "linear", "preencoder_conf": {"output_size": 20},
        "encoder_conf": {**CONFORMER, "input_layer": "linear"},
    },
    "wav2vec2": {**RAW, "encoder": "wav2vec2", "encoder_conf": {}},
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_it_learns_one_batch(name, task, one_thread, dump, tiny_ssl, tmp_path):
    from asr_dro_plugin.espnet.onebatch.one_batch_test import OneBatchTask

    changes = {"model": "dro", "objective": "ctc", "optim_conf": {"lr": 0.005}, **STACKS[name]}
    layout = {"s3prl": "hf", "wav2vec2": "fairseq"}.get(name)
    if layout:
        changes["ssl_checkpoint"] = str(getattr(tiny_ssl, layout))
    config = write_config(tmp_path / "train.yaml", **changes)
    OneBatchTask.main(cmd=[*arguments(dump, tmp_path / "out", config), "--max_updates", "600"])
    found = json.loads((tmp_path / "out" / "onebatchtest.json").read_text())
    assert found["reached"] and found["hypotheses"] == found["references"]
