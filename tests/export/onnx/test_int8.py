"""export --to onnx --int8: the folder, its manifest and card; refusals before a model is loaded."""

import hashlib
import json

import pytest
import soundfile

from asr_dro_plugin.bin.export_model import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.int8 import measure
from tests.export.onnx.exps import speech, write_exp

MEL = {"frontend": "default", "frontend_conf": {"n_mels": 20, "hop_length": 160}}
NET = {"hidden_size": 64, "num_blocks": 2, "kernel_size": 5, "strides": [2, 2]}


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8") / "exp"
    return write_exp(folder, {**MEL, "encoder": "conv_ctc", "encoder_conf": NET})


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Eight utterances of two languages, whose references the model does not know."""
    folder = tmp_path_factory.mktemp("dev")
    tables = {"wav.scp": "", "text": "", "utt2lang": ""}
    for number in range(8):
        lang = ("eng", "fra")[number % 2]
        soundfile.write(folder / f"{number}.wav", speech(9000 + number, seed=number), 16000)
        for table, value in zip(tables, (folder / f"{number}.wav", "a b a b", lang), strict=True):
            tables[table] += f"utt{number} {value}\n"
    for table, text in tables.items():
        (folder / table).write_text(text)
    return folder


@pytest.fixture(scope="module")
def exported(exp, data_dir):
    out = exp.parent / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "ROUNDS", 2)
        assert main(f"{exp} --to onnx --out {out} --int8 --int8_data {data_dir}".split()) == 0
    return out


def test_the_manifest_says_what_was_measured_and_what_is_the_default(exported):
    facts = json.loads((exported / "asr_dro_onnx.json").read_text("utf-8"))
    chosen, there = facts["int8"]["chosen"], (exported / "model.int8.onnx").exists()
    assert facts["default_precision"] == ("fp32" if chosen == "fp32" else "int8")
    assert there == (chosen != "fp32") == ("int8" in facts["precisions"])
    assert "fp32" in facts["precisions"] and (exported / "model.onnx").exists()
    assert facts["int8"]["utterances"] == 8
    for name, row in facts["members"].items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == row["sha256"]
    assert not list(exported.glob(".*"))


def test_the_card_has_the_table_and_what_could_not_be_tried(exported):
    card = (exported / "README.md").read_text("utf-8")
    assert "## Fewer bits" in card and "| stored |" in card
    assert "static could not be made: there is no training audio to calibrate it on" in card
    assert "Only 4 utterances of eng" in card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--int8", "validation set of .* is not here. Give --int8_data"),
        ("--int8 --int8_data /nowhere", "/nowhere has no wav.scp"),
        ("--int8_gate 0.1", "are about --int8"),
        ("--int8 --int8_data DATA --int8_gate soft", "--int8_gate soft is neither"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_model_is_loaded(
    exp, data_dir, tmp_path, options, message, monkeypatch
):
    monkeypatch.setattr("asr_dro_plugin.export.onnx.folder._begun", None)
    words = f"{exp} --to onnx --out {tmp_path / 'out'} {options}".replace("DATA", str(data_dir))
    with pytest.raises(UserError, match=message):
        main(words.split())
    assert not list(tmp_path.iterdir())
