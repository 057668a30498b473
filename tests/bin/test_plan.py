"""The plan prints every slot with sizes and parameters, quickly, and touches nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin import plan
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.preflight.first_epoch import read_lengths

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


TASK = MINI + "iterator_type: task\nsampler: group_duration\nsampler_conf: {duration: 10.0}\n"


@pytest.fixture
def stats_dir(tmp_path):
    """Lengths and groups as stage 10 leaves them: 40 utterances of 1 to 4 s in two groups."""
    folder = tmp_path / "stats" / "train"
    folder.mkdir(parents=True)
    lengths = {f"u{row:02d}": 16000 + 1200 * row for row in range(40)}
    (folder / "speech_shape").write_text("".join(f"{u} {n}\n" for u, n in lengths.items()))
    (folder / "utt2group").write_text("".join(f"{u} {n % 3 % 2}\n" for u, n in lengths.items()))
    return folder.parent


def plan_of(config, stats_dir, capsys, *words):
    plan.main(["--config", config.replace("encoder.subsampling.0", ""), "--stats_dir",
               str(stats_dir), *words])  # fmt: skip
    return capsys.readouterr().out


def test_the_longest_batch_is_the_one_that_training_tries_first(write, stats_dir, capsys):
    import argparse

    import numpy as np

    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.samplers import build_sampler
    from asr_dro_plugin.stack.frames import frame_counter

    config = write(TASK.replace("freeze_param: [encoder.subsampling.0]", "seed: 5"))
    found = json.loads(plan_of(config, stats_dir, capsys, "--json"))["batches"]
    options = argparse.Namespace(**load_config(config))
    utt_ids, samples, group_ids = read_lengths(stats_dir / "train")

    from asr_dro_plugin.espnet.batches.iterators import PlannedIterFactory

    sampler = build_sampler(options.sampler, **options.sampler_conf)
    factory = PlannedIterFactory(
        None, utt_ids, np.array(samples) / 16000, group_ids, sampler, seed=options.seed
    )
    longest = factory.longest_batch()
    at_most = max(samples[utt_ids.index(utt_id)] for utt_id in longest)
    assert found["num_utterances"] == len(longest) > 1
    assert samples[utt_ids.index(found["first"])] == at_most
    assert found["seconds"] == pytest.approx(len(longest) * at_most / 16000)
    frames = frame_counter(load_config(config)).num_frames(at_most)
    assert found["frames"] == len(longest) * frames
    assert found["plan"].startswith(f"{len(factory.plan())} batches of up to 10 s hold 40 utt")


def test_the_table_ends_with_the_longest_batch_and_what_an_epoch_is(write, stats_dir, capsys):
    config = write(TASK.replace("freeze_param: [encoder.subsampling.0]", ""))
    *_, longest, epoch = plan_of(config, stats_dir, capsys).splitlines()
    assert re.fullmatch(
        r"  longest      batch of \d+ utterances: \d+\.\d s and \d+ frames with padding "
        r"\(longest: u\d\d, \d\.\d s\)", longest
    )  # fmt: skip
    assert epoch.split()[:3] == ["epoch", "1", "by"]


def test_of_espnets_batches_the_longest_utterance_is_told(write, stats_dir, capsys):
    config = write(MINI.replace("freeze_param: [encoder.subsampling.0]", "batch_type: sorted"))
    last = plan_of(config, stats_dir, capsys).splitlines()[-1]
    assert "longest      utterance: 3.9 s and 99 frames with padding (longest: u39, 3.9 s)" in last
    assert last.endswith("the batches are ESPnet's (batch_type: sorted)")


def test_before_stage_10_the_batches_are_not_known(write, tmp_path, capsys):
    config = write(TASK.replace("freeze_param: [encoder.subsampling.0]", ""))
    out = plan_of(config, tmp_path / "stats", capsys)
    assert re.search(r"^  longest +batch not known before stage 10", out.splitlines()[-1])
    assert json.loads(plan_of(config, tmp_path / "stats", capsys, "--json"))["batches"] is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("speech_shape", "u00 x\n", "what is no number .* Run stage 10 again"),
        ("utt2group", "u00 eng\n", "what is no number"),
        ("speech_shape", "u99 16000\n", "names no utterance with samples and a group"),
    ],
)
def test_damaged_lengths_are_one_line(write, stats_dir, capsys, name, text, words):
    (stats_dir / "train" / name).write_text(text)
    config = write(TASK.replace("freeze_param: [encoder.subsampling.0]", ""))
    with pytest.raises(UserError, match=words):
        plan_of(config, stats_dir, capsys)


def test_planning_the_batches_loads_neither_torch_nor_espnet(write, stats_dir):
    config = write(TASK.replace("freeze_param: [encoder.subsampling.0]", ""))
    program = (
        "import sys\nfrom asr_dro_plugin.bin import plan\n"
        "from asr_dro_plugin.base.kaldi_io import read_table\n"
        "from asr_dro_plugin.base.yaml_files import load_config\n"
        "from asr_dro_plugin.stack.frames import frame_counter\n"
        "from pathlib import Path\nconfig = load_config(sys.argv[1])\n"
        "print(plan.plan_first_epoch(config, Path(sys.argv[2]), frame_counter(config)).plan)\n"
        "print({'torch', 'espnet2'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, config, stats_dir],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.endswith("set()\n"), run.stdout + run.stderr


def test_an_error_is_one_line_and_a_non_zero_exit(write):
    config = write("encoder: conv_ctc\nencoder: rnn\n")
    run = subprocess.run(
        [sys.executable, "-m", "asr_dro_plugin.bin.plan", "--config", config],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.startswith("ERROR: ") and run.stderr.count("\n") == 1
    assert "line 2: key 'encoder' appears twice" in run.stderr
