"""The plan prints every slot with sizes and parameters, quickly, and touches nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin import plan
from asr_dro_plugin.errors import UserError

pytest_plugins = ["tests.fixtures_ssl"]

ROOT = Path(__file__).resolve().parents[2]
MINI = """
frontend: default
frontend_conf: {hop_length: 160, n_mels: 80}
specaug: specaug
specaug_conf: {time_mask_width_range: null, time_mask_width_ratio_range: [0.0, 0.05]}
encoder: conv_ctc
encoder_conf: {hidden_size: 64, strides: [2, 2]}
decoder: none
model: dro
model_conf: {ctc_weight: 1.0}
freeze_param: [encoder.subsampling.0]
"""
S3PRL = """
ssl_checkpoint: xlsr_300m
frontend: s3prl
preencoder: linear
preencoder_conf: {output_size: 80}
encoder: transformer
encoder_conf: {num_blocks: 1}
decoder: none
model_conf: {ctc_weight: 1.0}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "train.yaml") -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}


def test_the_table_shows_all_slots_with_sizes_and_counts(write, capsys):
    tokens = write("<blank>\n<unk>\na\nb\n<sos/eos>\n", "tokens.txt")
    config = write(MINI.replace("encoder.subsampling.0", "encoder.net.subsampling.0"))
    assert plan.main(["--config", config, "--token_list", tokens]) == 0
    out = capsys.readouterr().out
    table = rows(out)
    assert list(table)[1:] == [
        "slot", "frontend", "specaug", "normalize", "preencoder", "encoder", "decoder", "ctc",
        "total", "loss", "frame",
    ]  # fmt: skip
    assert table["frontend"][1:3] == ["default", "80"]
    assert table["preencoder"][1:4] == ["none", "-", "-"]
    frozen = 80 * 64 * 7 + 64 + 2 * 64
    assert table["encoder"][1:3] == ["conv_ctc", "64"]
    assert table["encoder"][4] == f"{frozen:,}" == table["total"][2]
    assert table["ctc"][1:4] == ["builtin", "5", f"{64 * 5 + 5}"]
    assert "frame shift  40 ms: encoder conv_ctc (stride 4 on 10 ms frames)" in out
    assert "CTC (model_conf.ctc_weight 1)" in out


def test_before_the_token_list_is_made_the_vocabulary_is_a_question_mark(write, tmp_path, capsys):
    config = write(S3PRL)
    plan.main(["--config", config, "--token_list", str(tmp_path / "tokens.txt")])
    table = rows(capsys.readouterr().out)
    assert table["ctc"][2:5] == ["?", "?", "?"]
    assert table["frontend"][2:] == ["1,024", "315,438,745", "0", "from", "table"]
    assert table["total"][-2:] == ["+", "?"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.yaml"]


def test_a_local_checkpoint_takes_the_place_of_the_named_one(write, tiny_ssl, capsys):
    plan.main(["--config", write(S3PRL), "--ssl_checkpoint", str(tiny_ssl.hf), "--json"])
    slots = {slot["name"]: slot for slot in json.loads(capsys.readouterr().out)["slots"]}
    assert (slots["frontend"]["output_size"], slots["frontend"]["source"]) == (16, "file")
    assert slots["preencoder"]["trainable"] == 16 * 80 + 80


def test_json_holds_the_loss_and_the_frame_shift(write, capsys):
    arguments = "--encoder_conf strides=[2,2,2] --freeze_param encoder"
    plan.main(["--config", write(MINI), "--json", "--asr_args", arguments])
    out = json.loads(capsys.readouterr().out)
    assert (out["loss"], out["frame_shift"], out["frame_shift_exact"]) == ("ctc", 0.08, True)
    encoder = next(slot for slot in out["slots"] if slot["name"] == "encoder")
    assert encoder["trainable"] == 0 < encoder["frozen"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("--encoder_conf hiden_size=3", "'hiden_size' is no argument. Did you mean 'hidden_size'"),
        ("--encoder conv_ctx", "Did you mean 'conv_ctc'"),
        ("--max_epochs 3", "Did you mean 'max_epoch'"),
        ("--encoder_conf kernel_size=4", "train.yaml: encoder_conf .* must be odd"),
        ("--freeze_param encoder.subsampling.0", "matches no parameter. Did you mean"),
    ],
)
def test_what_cannot_be_built_is_refused(write, arguments, words):
    config = write(MINI.replace("freeze_param: [encoder.subsampling.0]", ""))
    with pytest.raises(UserError, match=words):
        plan.main(["--config", config, "--asr_args", arguments])


@pytest.mark.parametrize("path", sorted(ROOT.glob("conf/train_asr_*.yaml")), ids=lambda p: p.stem)
def test_the_plan_of_every_shipped_configuration_imports_no_task_of_espnet(path):
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "asr_dro_plugin.bin.plan", "--config", path],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stderr.splitlines()
    assert [line for line in lines if not line.startswith("import time:")] == []
    assert not [line for line in lines if "espnet2.tasks" in line or "s3prl" in line]
    assert "frame shift" in run.stdout


def test_an_error_is_one_line_and_a_non_zero_exit(write):
    config = write("encoder: conv_ctc\nencoder: rnn\n")
    run = subprocess.run(
        [sys.executable, "-m", "asr_dro_plugin.bin.plan", "--config", config],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.startswith("ERROR: ") and run.stderr.count("\n") == 1
    assert "line 2: key 'encoder' appears twice" in run.stderr
