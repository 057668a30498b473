"""A Whisper under CTC as an experiment: trained, continued, packed, decoded, adapted."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from asr_dro_plugin.bin import transcribe
from asr_dro_plugin.pretrained.hf_folders import read_weights
from tests.espnet.conftest import arguments

pytest_plugins = ["tests.fixtures_whisper"]
pytestmark = pytest.mark.usefixtures("one_thread")

CONF = Path(__file__).resolve().parents[3] / "conf"
MODEL = "valid.worst_group_cer.ave.pth"
BODY = "frontend.net.model."


@pytest.fixture(scope="module")
def train(task, dump, tmp_path_factory, make_tiny_whisper, one_thread):
    """``train(twin)``: (experiment of two updates, folder of the checkpoint)."""

    def run(name: str) -> tuple[Path, Path]:
        root = tmp_path_factory.mktemp(name)
        folder = make_tiny_whisper(hidden=16, seconds=2)
        words = [*arguments(dump, root / "exp", CONF / f"train_asr_{name}_tiny.yaml")]
        words += ["--ssl_checkpoint", str(folder), "--max_epoch", "1", "--use_tensorboard", "false"]
        task.main(cmd=[*words, "--num_iters_per_epoch", "2"])
        return root / "exp", folder

    return run


@pytest.fixture(scope="module")
def frozen(train):
    """(experiment, weights that Whisper came with); its folder is gone."""
    exp, folder = train("whisper_ctc")
    weights = read_weights(folder)
    shutil.rmtree(folder)
    return exp, weights


def emission(exp):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    speech = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    return torch.from_numpy(load_recogniser(exp, MODEL).emission([0.1 * speech]).log_probs)


def test_whisper_is_as_it_came_and_the_sum_has_moved(frozen):
    exp, weights = frozen
    state = torch.load(exp / MODEL, weights_only=True)
    body = {name.removeprefix(BODY): value for name, value in state.items() if BODY in name}
    assert body and all(
        torch.equal(value, weights[f"model.encoder.{name}"]) for name, value in body.items()
    )
    assert state["frontend.net.layer_weights"].abs().min() > 0  # each began at 0


def test_a_packed_model_needs_no_folder_and_is_itself_somewhere_else(frozen, tmp_path, monkeypatch):
    from asr_dro_plugin.export.pack import PackOptions, pack
    from asr_dro_plugin.packing.unpack import unpack

    exp, _ = frozen
    monkeypatch.chdir(tmp_path)
    pack(exp, tmp_path / "model.zip", PackOptions())
    unpack(tmp_path / "model.zip", tmp_path / "there")
    packed = next((tmp_path / "there").rglob("config.yaml")).parent
    assert torch.equal(emission(exp), emission(packed))
    card = (packed / "README.md").read_text("utf-8")
    assert "hf_whisper" in card and "a pretrained checkpoint" in card


def test_a_run_goes_on_without_the_folder_it_began_with(frozen, task, dump, tmp_path):
    exp = tmp_path / "exp"
    shutil.copytree(frozen[0], exp, symlinks=True)
    source = yaml.safe_load((exp / "config.yaml").read_text("utf-8"))["frontend_conf"]
    words = arguments(dump, exp, CONF / "train_asr_whisper_ctc_tiny.yaml")
    words += ["--ssl_checkpoint", source["model_config"]["_name_or_path"], "--resume", "true"]
    task.main(cmd=[*words, "--num_iters_per_epoch", "2", "--use_tensorboard", "false"])
    one, two = (torch.load(exp / f"{n}epoch.pth", weights_only=True) for n in (1, 2))
    sums = (each["frontend.net.layer_weights"] for each in (one, two))
    assert 0 < (next(sums) - next(sums)).abs().max() < 0.1


def test_longer_audio_than_whisper_takes_is_read_in_chunks(frozen):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    recogniser = load_recogniser(frozen[0], MODEL)
    noise = np.random.default_rng(0).standard_normal(5 * 16000).astype(np.float32)
    long, short = 0.1 * noise, 0.1 * noise[:24000]
    emission = recogniser.emission([short, long])
    assert emission.lengths.tolist() == [
        recogniser.frames.num_frames(len(x)) for x in (short, long)
    ]
    alone = recogniser.emission([short]).log_probs[0]
    assert np.allclose(emission.log_probs[0, : len(alone)], alone, atol=1e-5)
    first = recogniser.emission([long[:32000]]).log_probs[0]  # what the first chunk hears
    kept = len(first) * 5 // 6 - 1
    assert np.allclose(emission.log_probs[1, :kept], first[:kept], atol=1e-5)


def test_longer_audio_than_whisper_takes_is_transcribed(frozen, tmp_path, capsys):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", 0.1 * rng.standard_normal(5 * 16000), 16000)
    words = ["--exp", str(frozen[0]), "--model_file", MODEL, "--format", "json"]
    assert transcribe.main([str(tmp_path / "long.wav"), *words]) == 0
    assert "long" in capsys.readouterr().out


def test_files_of_adapters_alone_hold_no_weight_of_whispers(train):
    exp, folder = train("whisper_ctc_lora")
    names = set(torch.load(exp / MODEL, weights_only=True, mmap=True))
    inside = {name for name in names if BODY in name}
    inside.remove(f"{BODY}embed_positions.weight")  # sinusoids, which are no parameters
    assert inside and all(".lora_" in name for name in inside)
    assert {"frontend.net.layer_weights", "preencoder.linear_out.weight"} <= names
    assert yaml.safe_load((exp / "config.yaml").read_text())["adapter_conf"]["base"] == str(folder)
    assert torch.isfinite(emission(exp)).all()
