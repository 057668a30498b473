"""``asr-dro info`` tells the published figures, and what is in any folder with a model."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from asr_dro_plugin.bin import import_model, info, main, pack, unpack
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.folders import read_model_folder, weights_of
from tests.packs import MODEL, write_experiment

pytest_plugins = ["tests.fixtures_ssl"]
CONF = Path(__file__).resolve().parents[2] / "conf"
QUARTZNET = str(CONF / "train_asr_quartznet15x5.yaml")
DEEPSPEECH2 = str(CONF / "train_asr_deepspeech2.yaml")
TOKENS = ["<blank>", "<unk>", "a", "b", "<sos/eos>"]
TINY = {
    "frontend": "default", "frontend_conf": {"n_mels": 8, "hop_length": 160}, "normalize": "none",
    "encoder": "conv_ctc", "encoder_conf": {"hidden_size": 8, "num_blocks": 1, "strides": [2]},
    "decoder": "none", "model": "dro", "model_conf": {"ctc_weight": 1.0}, "objective": "ctc_dro",
    "objective_conf": {"step_size": 0.01}, "optim": "adam", "optim_conf": {"lr": 0.01},
    "scheduler": "warmup_cosine", "scheduler_conf": {"max_steps": 9, "warmup_steps": 2},
}  # fmt: skip


ROOT = CONF.parent
S3PRL = {
    "ssl_checkpoint": "xlsr_300m", "frontend": "s3prl", "preencoder": "linear",
    "preencoder_conf": {"output_size": 80}, "encoder": "transformer",
    "encoder_conf": {"num_blocks": 1}, "decoder": "none", "model_conf": {"ctc_weight": 1.0},
}  # fmt: skip


def told(capsys, *argv: str) -> str:
    assert info.main(list(argv)) == 0
    return capsys.readouterr().out


def found(capsys, *argv: str) -> dict:
    return json.loads(told(capsys, *argv, "--json"))


def fact(text: str, key: str) -> str:
    return re.search(rf"^  {key} +(.*)$", text, re.MULTILINE)[1]


@pytest.fixture
def write(tmp_path):
    def write(config: dict, name: str = "train.yaml") -> str:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("config", "arguments", "total"),
    [
        (QUARTZNET, ["--vocab", "34"], 18_929_506),
        (QUARTZNET, ["--vocab", "29"], 18_924_381),
        (QUARTZNET, ["--vocab", "34", "--asr_args", "--encoder_conf num_repeats=2"], 12_823_906),
        (QUARTZNET, ["--vocab", "34", "--asr_args", "--encoder_conf num_repeats=1"], 6_718_306),
        (DEEPSPEECH2, ["--vocab", "28"], 13_579_868),
    ],
    ids=["15x5 ru", "15x5 en", "10x5", "5x5", "deepspeech2"],
)
def test_the_published_numbers_of_parameters(capsys, config, arguments, total):
    assert fact(told(capsys, config, *arguments), "parameters") == f"{total:,}"


def test_the_layers_of_quartznet_are_those_of_the_paper(capsys):
    layers = found(capsys, QUARTZNET, "--layers")["layers"]
    assert sum(layer["num_parameters"] for layer in layers) == 18_894_656
    depthwise = [layer for layer in layers if "depthwise" in layer["name"]]
    kernels = [(int(layer["kind"].split()[2]), layer["times"]) for layer in depthwise]
    assert kernels == [(33, 1), (33, 15), (39, 15), (51, 1), (51, 4), (51, 10), (63, 15), (75, 15),
                       (87, 1)]  # fmt: skip
    assert "stride 2" in depthwise[0]["kind"] and "dilation 2" in depthwise[-1]["kind"]
    text = told(capsys, QUARTZNET, "--layers")
    assert "encoder quartznet, layer by layer:" in text
    assert re.search(r"blocks.4-6.subblocks.0-4.depthwise +Conv1d kernel 39 groups 256 +256 x 1 x "
                     r"39 +15 +149,760", text)  # fmt: skip


def test_all_facts_of_a_configuration(write, capsys, tmp_path):
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    text = told(capsys, write(TINY), "--token_list", str(tmp_path / "tokens.txt"))
    assert fact(text, "loss") == "CTC (model_conf.ctc_weight 1)"
    assert fact(text, "objective") == "ctc_dro (step_size 0.01)"
    assert fact(text, "sampler") == "ESPnet's batches"
    assert fact(text, "optimizer") == "adam (lr 0.01)"
    assert fact(text, "scheduler") == "warmup_cosine (max_steps 9, warmup_steps 2)"
    assert fact(text, "frame shift") == "20 ms: encoder conv_ctc (stride 2 on 10 ms frames)"
    assert fact(text, "receptive field").startswith("the whole utterance, through encoder conv_ctc")
    assert fact(text, "vocabulary") == "5 tokens, blank is 0"


def test_json_has_the_same(write, capsys):
    out = found(capsys, write(TINY), "--vocab", "5")
    assert out["parameters"] == {"trainable": 1030, "frozen": 0, "total": 1030}
    assert out["vocabulary"] == {"size": 5, "blank_id": None, "token_type": None}
    assert out["objective"] == {"name": "ctc_dro", "conf": {"step_size": 0.01}}
    assert out["sampler"] is None and out["frame_shift"] == 0.02
    field = out["receptive_field"]
    assert (field["finite"], field["seconds"]) == (False, None)
    assert field["local_samples"] == 512 + 6 * 160 + 6 * 320
    assert sum(s["trainable"] + s["frozen"] for s in out["slots"]) == 1030


def test_without_a_vocabulary_the_head_is_a_question_mark(write, capsys):
    text = told(capsys, write(TINY))
    assert fact(text, "parameters").endswith(" + ?")
    assert fact(text, "vocabulary") == "? (--vocab or --token_list tells)"


def test_frozen_parameters_are_told_apart(write, capsys):
    config = write(TINY | {"freeze_param": ["encoder.net.subsampling"]})
    counts = found(capsys, config, "--vocab", "5")["parameters"]
    assert counts["frozen"] == 8 * 8 * 7 + 8 + 16 and counts["total"] == 1030


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}


def test_the_table_shows_all_slots_with_sizes_and_counts(write, capsys):
    masks = {"time_mask_width_range": None, "time_mask_width_ratio_range": [0.0, 0.05]}
    frozen = {"freeze_param": ["encoder.net.subsampling.0"]}
    config = write(TINY | frozen | {"specaug": "specaug", "specaug_conf": masks})
    text = told(capsys, config, "--vocab", "5")
    table = rows(text)
    assert list(table)[1:9] == ["slot", "frontend", "specaug", "preencoder", "encoder", "decoder",
                                "ctc", "total"]  # fmt: skip
    assert table["frontend"][1:3] == ["default", "8"]
    assert table["preencoder"][1:4] == ["none", "-", "-"]
    assert table["encoder"][1:3] == ["conv_ctc", "8"]
    assert table["encoder"][4] == table["total"][2] == str(8 * 8 * 7 + 8 + 2 * 8)
    assert table["ctc"][1:4] == ["builtin", "5", str(8 * 5 + 5)]


def test_a_pretrained_model_is_counted_without_it(write, capsys, tmp_path):
    text = told(capsys, write(S3PRL))
    assert rows(text)["ctc"][2:5] == ["?", "?", "?"] and rows(text)["total"][-2:] == ["+", "?"]
    assert rows(text)["frontend"][2:] == ["1,024", "315,438,745", "0", "from", "table"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.yaml"]


def test_a_local_checkpoint_takes_the_place_of_the_named_one(write, tiny_ssl, capsys):
    out = found(capsys, write(S3PRL), "--ssl_checkpoint", str(tiny_ssl.hf))
    slots = {slot["name"]: slot for slot in out["slots"]}
    assert (slots["frontend"]["output_size"], slots["frontend"]["source"]) == (16, "file")
    assert slots["preencoder"]["trainable"] == 16 * 80 + 80


def test_what_is_told_is_the_stack_with_the_options_on_top(write, capsys):
    arguments = "--encoder_conf strides=[2,2,2] --freeze_param encoder"
    out = found(capsys, write(TINY), "--asr_args", arguments)
    assert (out["loss"], out["frame_shift"], out["frame_shift_exact"]) == ("ctc", 0.08, True)
    assert out["frame_shift_from"] == "encoder conv_ctc (stride 8 on 10 ms frames)"
    encoder = next(slot for slot in out["slots"] if slot["name"] == "encoder")
    assert encoder["trainable"] == 0 < encoder["frozen"]


def test_the_batches_of_measured_data_end_the_table(write, capsys, tmp_path):
    config = write(TINY | {"iterator_type": "task", "sampler": "group_duration",
                           "sampler_conf": {"duration": 10.0}})  # fmt: skip
    where = ["--stats_dir", str(tmp_path / "stats")]
    assert fact(told(capsys, config, *where), "longest").startswith("batch not known before stage")
    assert found(capsys, config, *where)["batches"] is None
    (tmp_path / "stats" / "train").mkdir(parents=True)
    (tmp_path / "stats" / "train" / "speech_shape").write_text("a 16000\nb 32000\n")
    assert fact(told(capsys, config, *where), "longest") == (
        "batch of 2 utterances: 4.0 s and 202 frames with padding (longest: b, 2.0 s)"
    )
    assert fact(told(capsys, config, *where), "epoch 1").startswith("by group_duration: 1 batch")


def test_nothing_shipped_needs_espnets_tasks_and_batches_do_not_need_torch(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "speech_shape").write_text("a 16000\n")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from asr_dro_plugin.base.yaml_files import load_config\n"
        "from asr_dro_plugin.preflight.first_epoch import plan_first_epoch\n"
        "from asr_dro_plugin.stack.frames import frame_counter\n"
        "config = load_config('conf/train_asr_ctc_dro_mini.yaml')\n"
        "plan_first_epoch(config, Path(sys.argv[1]), frame_counter(config)).plan\n"
        "assert not {'torch', 'espnet2'} & set(sys.modules)\n"
        "from asr_dro_plugin.bin import info\n"
        "for path in sorted(Path('conf').glob('train_asr_*.yaml')):\n"
        "    info.main([str(path)])\n"
        "print(*(name for name in sys.modules if 'espnet2.tasks' in name or 's3prl' in name))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert run.stdout.count("frame shift") == len(list(CONF.glob("train_asr_*.yaml")))
    assert run.stdout.endswith("\n\n")


@pytest.fixture
def experiment(tmp_path):
    """A folder as training leaves it."""
    from asr_dro_plugin.stack.construct import construct
    from asr_dro_plugin.stack.names import CTC_CLASS

    exp = tmp_path / "exp"
    exp.mkdir()
    config = TINY | {"token_list": TOKENS, "token_type": "char", "frontend": "default"}
    (exp / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    conf = {"input_size": 8, **TINY["encoder_conf"]}
    net = construct("asr_dro_plugin.nets.convnet:ConvNet", conf, device="cpu")
    head = construct(CTC_CLASS, {"odim": 5, "encoder_output_size": 8}, device="cpu")
    state = {f"encoder.net.{name}": value for name, value in net.state_dict().items()}
    state |= {f"ctc.{name}": value for name, value in head.state_dict().items()}
    torch.save({**state, "objective.q": torch.ones(3)}, exp / "valid.loss.ave.pth")
    return exp


def test_a_trained_experiment(experiment, capsys):
    text = told(capsys, str(experiment))
    assert fact(text, "parameters") == "1,030"
    assert fact(text, "vocabulary") == "5 tokens, char, blank is 0"
    size = (experiment / "valid.loss.ave.pth").stat().st_size
    assert (
        fact(text, "weights")
        == f"valid.loss.ave.pth: 1,030 numbers, buffers included, float32, {size:,} bytes"
    )
    out = found(capsys, str(experiment), "--layers")
    assert out["weights"]["by_slot"] == {"encoder": 985, "ctc": 45} and out["imported"] is None
    assert sum(layer["num_parameters"] for layer in out["layers"]) == 985


def test_before_the_first_epoch_there_is_no_model_file(experiment, capsys):
    (experiment / "valid.loss.ave.pth").unlink()
    assert fact(told(capsys, str(experiment)), "weights") == "no model file yet"


def test_a_blank_that_is_last_is_told(experiment, capsys):
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    moved = config | {"token_list": [*TOKENS[1:], TOKENS[0]]}
    (experiment / "config.yaml").write_text(yaml.safe_dump(moved), encoding="utf-8")
    assert found(capsys, str(experiment))["vocabulary"]["blank_id"] == 4


def test_what_the_configuration_cannot_count_the_model_file_does(experiment, capsys):
    """ESPnet's wav2vec2 needs its checkpoint, which is somewhere else now."""
    config = {"frontend": None, "input_size": 1, "normalize": None, "encoder": "wav2vec2",
              "encoder_conf": {"w2v_url": "gone.pt", "w2v_dir_path": "/nowhere",
                               "output_size": 8}, "model_conf": {"ctc_weight": 1.0},
              "token_list": TOKENS}  # fmt: skip
    (experiment / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    slots = {slot["name"]: slot for slot in found(capsys, str(experiment))["slots"]}
    assert (slots["encoder"]["trainable"], slots["encoder"]["source"]) == (985, "model")
    text = told(capsys, str(experiment), "--layers")
    assert "model file" in text and "not known, or none" in text


def test_half_precision_and_buffers_are_told(tmp_path):
    state = {"encoder.a.weight": torch.zeros(10).half(), "encoder.n.running_mean": torch.zeros(4),
             "encoder.n.num_batches_tracked": torch.zeros((), dtype=torch.long)}  # fmt: skip
    torch.save(state, tmp_path / "m.pth")
    found = weights_of(tmp_path / "m.pth")
    assert (found.num_values, found.by_slot) == (15, {"encoder": 10})
    assert found.dtypes == ("float16", "float32", "int64") and not found.adapters_only


def test_a_file_of_adapters_alone_is_told(tmp_path):
    state = {"encoder.net.layers.0.q_proj.lora_A.default.weight": torch.zeros(2, 8),
             "encoder.net.layers.0.q_proj.lora_B.default.weight": torch.zeros(8, 2),
             "ctc.ctc_lo.weight": torch.zeros(5, 8)}  # fmt: skip
    torch.save(state, tmp_path / "m.pth")
    assert weights_of(tmp_path / "m.pth", leaves_out=True).adapters_only
    assert not weights_of(tmp_path / "m.pth").adapters_only


def test_an_unpacked_model(tmp_path, capsys):
    pack.main([str(write_experiment(tmp_path)), "--out", str(tmp_path / "m.zip")])
    unpack.main([str(tmp_path / "m.zip"), "--out", str(tmp_path / "given")])
    capsys.readouterr()
    out = found(capsys, str(tmp_path / "given"))
    assert out["vocabulary"] == {"size": 8, "blank_id": 0, "token_type": "char"}
    assert out["weights"]["file"] == MODEL and out["weights"]["num_values"] == 48
    assert out["objective"] == {"name": "ctc_dro", "conf": {"smoothing_rel": 0.6}}


def test_an_imported_folder_says_where_it_is_from(tiny_ssl, tmp_path, capsys):
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    import_model.main(["--from", "fairseq", str(tiny_ssl.fairseq), "--out", str(tmp_path / "in"),
                       "--new_vocab", str(tmp_path / "tokens.txt")])  # fmt: skip
    capsys.readouterr()
    text = told(capsys, str(tmp_path / "in"))
    assert fact(text, "imported").startswith("fairseq fairseq.pt: tensors 70 used, 0 missing")
    assert "optimizer" not in text  # of a training that nobody did here
    assert read_model_folder(tmp_path / "in").imported["tensors"]["not_used"] == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([QUARTZNET, "--vocab", "0"], "--vocab is 0"),
        (["{tmp}/none.yaml"], "Cannot read the configuration"),
        (["{tmp}"], "holds no config.yaml, but .*experiment"),
        ([QUARTZNET, "--asr_args", "--encoder_conf num_repeat=2"], "Did you mean 'num_repeats'"),
        ([QUARTZNET, "--asr_args", "--freeze_param encoder.block.0"], "matches no parameter. Did"),
        ([QUARTZNET, "--token_list", "{tmp}/none.txt"], "none.txt"),
        ([str(CONF), "--vocab", "3"], "--vocab goes with a configuration"),
    ],
    ids=["vocab", "no file", "no experiment", "typo", "freeze", "no tokens", "vocab of a folder"],
)
def test_bad_input_is_one_line(tmp_path, arguments, words):
    with pytest.raises((UserError, OSError), match=words) as caught:
        info.main([argument.replace("{tmp}", str(tmp_path)) for argument in arguments])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"no pickle"], ids=["empty", "cut", "text"]
)
def test_a_damaged_model_file_is_one_line(experiment, content):
    (experiment / "valid.loss.ave.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"valid\.loss\.ave\.pth"):
        info.main([str(experiment)])


def test_a_damaged_import_card_is_one_line(experiment):
    (experiment / "import.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"import\.json is no JSON"):
        info.main([str(experiment)])


def test_it_is_a_command():
    assert main.COMMANDS["info"][0] == "info"
