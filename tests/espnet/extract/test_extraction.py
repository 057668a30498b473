"""Hidden states computed once are those that the model would compute, and of no other model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin.stages.extract_features import main as extract
from asr_dro_plugin.data.feature_store import read_features
from asr_dro_plugin.errors import UserError
from tests.espnet.conftest import arguments

pytest_plugins = ["tests.fixtures_whisper", "tests.fixtures_ssl"]

STACK = {
    "normalize": "none", "encoder": "transformer",
    "encoder_conf": {
        "output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 1,
        "input_layer": "linear",
    },
    "decoder": "none", "model": "dro", "model_conf": {"ctc_weight": 1.0}, "objective": "ctc_dro",
    "iterator_type": "task", "sampler": "sorted", "sampler_conf": {"duration": 4.0},
    "max_epoch": 2, "num_workers": 0, "seed": 3, "optim": "adam", "optim_conf": {"lr": 0.002},
    "best_model_criterion": [["valid", "worst_group_cer", "min"]], "augmentation_examples": 1,
    "keep_nbest_models": 3, "use_tensorboard": False,
}  # fmt: skip
ROUNDING = 2**-11  # of float16, relative


@pytest.fixture(scope="module")
def whisper(make_tiny_whisper) -> Path:
    """For utterances of the toy corpus, which last up to 2.4 s."""
    return make_tiny_whisper(hidden=16, seconds=4, max_tokens=40)


@pytest.fixture(scope="module")
def stacks(whisper, tiny_ssl):
    """Frontends whose hidden states are summed, and what freezes their models."""
    return {
        "hf_whisper": {
            "frontend": "hf_whisper", "frontend_conf": {"pool": 2, "layers": [0, -1]},
            "ssl_checkpoint": str(whisper), "freeze_param": ["frontend.net.model"],
        },
        "s3prl": {
            "frontend": "s3prl", "frontend_conf": {"multilayer_feature": True},
            "ssl_checkpoint": str(tiny_ssl.hf), "freeze_param": ["frontend.upstream"],
        },
        "s3prl_layer": {
            "frontend": "s3prl", "frontend_conf": {"layer": 1},
            "ssl_checkpoint": str(tiny_ssl.hf), "freeze_param": ["frontend.upstream"],
        },
    }  # fmt: skip


def write(path: Path, *parts: dict) -> Path:
    path.write_text(yaml.safe_dump({k: v for part in parts for k, v in part.items()}), "utf-8")
    return path


def extraction(config: Path, dump: Path, out: Path, *more: str) -> None:
    sets = [str(dump / split) for split in ("train", "dev")]
    extract(["--config", str(config), "--data_dirs", *sets, "--out_dir", str(out), *more])


@pytest.fixture(scope="module")
def extracted(task, dump, stacks, tmp_path_factory):
    """(name of a stack) -> its YAML and the folder of its features, made once."""
    made = {}

    def make(name: str) -> tuple[Path, Path]:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            config = write(root / "train.yaml", STACK, stacks[name])
            extraction(config, dump, root / "feats", "--num_parts", "2")
            made[name] = config, root / "feats"
        return made[name]

    return make


@pytest.mark.parametrize("name", ["hf_whisper", "s3prl", "s3prl_layer"])
def test_features_are_what_the_frontend_computes_of_speech(extracted, dump, stacks, name):
    from asr_dro_plugin.audio.files import read
    from asr_dro_plugin.espnet.extract.extraction import build_frontend
    from asr_dro_plugin.stack.extraction import frontend_frames

    config, feats = extracted(name)
    frontend = build_frontend({**STACK, **stacks[name]}, "cpu")
    kept, frames = read_features(feats / "dev" / "feats.scp"), []
    for utt_id, path in read_table(dump / "dev" / "wav.scp").items():
        samples, _ = read(path)
        speech = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        features = torch.from_numpy(kept[utt_id][None])
        assert features.dtype == torch.float16
        with torch.no_grad():
            wanted, lengths = frontend(*speech)
            got, _ = frontend(features, torch.tensor([features.shape[1]]))
        assert lengths.tolist() == [features.shape[1]]
        assert (got - wanted).abs().max() <= ROUNDING * features.abs().max() + 1e-5
        frames.append([len(samples), features.shape[1]])
    samples, frames = torch.tensor(frames).T.numpy()
    assert frontend_frames({**STACK, **stacks[name]}, samples).tolist() == frames.tolist()
    assert sum(frames) == json.loads((feats / "dev" / "extracted.json").read_text())["num_frames"]


def from_features(words: list[str], dump: Path, feats: Path) -> list[str]:
    """A training command whose speech is replaced by features."""
    for part, split in (("train", "train"), ("valid", "dev")):
        place = words.index(f"{dump}/{split}/wav.scp,speech,sound")
        words[place] = f"{feats}/{split}/feats.scp,speech,float16_ark"
        samples = f"{dump}/{split}/utt2num_samples,num_samples,text_int"
        words += [f"--{part}_data_path_and_name_and_type", samples]
    return words


@pytest.fixture(scope="module")
def trained_both(task, dump, extracted, tmp_path_factory):
    """Experiments from speech and from features."""
    config, feats = extracted("hf_whisper")
    root = tmp_path_factory.mktemp("trained")
    task.main(cmd=arguments(dump, root / "speech", config))
    task.main(cmd=from_features(arguments(dump, root / "features", config), dump, feats))
    return root / "speech", root / "features"


def test_a_training_from_features_is_the_one_from_speech(trained_both):
    one, two = (torch.load(exp / "2epoch.pth", weights_only=True) for exp in trained_both)
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name].float(), two[name].float(), rtol=0, atol=1e-3), name
    learnt = two["frontend.net.layer_weights"]
    assert (learnt.abs() > 1e-3).all()  # which began as zeros


def test_both_count_the_same_speech(trained_both):
    seen = [json.loads((exp / "seen.json").read_text()) for exp in trained_both]
    assert seen[0] == seen[1] and seen[0][0]["seconds"] > 10
    rows = [[json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
            for exp in trained_both]  # fmt: skip
    print(rows[0][-1])


def test_the_picture_of_augmentation_is_drawn_of_features_too(trained_both):
    kinds = [{path.suffix for path in exp.glob("augmentation/*/*")} for exp in trained_both]
    assert kinds == [{".png", ".wav"}, {".png"}]


def test_the_model_decodes_speech_without_the_features(trained_both, dump):
    from asr_dro_plugin.audio.files import read
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    recognisers = [load_recogniser(exp, "2epoch.pth") for exp in trained_both]
    samples, _ = read(next(iter(read_table(dump / "dev" / "wav.scp").values())))
    one, two = (recogniser.emission([samples]).log_probs for recogniser in recognisers)
    assert np.allclose(one, two, atol=5e-3)


def test_statistics_of_features_are_those_of_speech(task, dump, extracted, tmp_path):
    """Those of speech were of a frontend with random weights once."""
    config, feats = extracted("hf_whisper")
    found = {}
    for name in ("speech", "features"):
        words = arguments(dump, tmp_path / name, config)
        words = words if name == "speech" else from_features(words, dump, feats)
        task.main(cmd=[*words, "--collect_stats", "true", "--normalize", "none"])
        found[name] = np.load(tmp_path / name / "train" / "feats_stats.npz")
    for key in ("count", "sum", "sum_square"):
        assert np.allclose(found["speech"][key], found["features"][key], rtol=2e-3, atol=0.5), key
    assert abs(found["speech"]["sum"]).max() > 20


def refused(task, words: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        task.main(cmd=words)
    return str(caught.value)


def test_training_refuses_features_of_other_layers(task, dump, extracted, stacks, tmp_path):
    _, feats = extracted("hf_whisper")
    other = {**stacks["hf_whisper"], "frontend_conf": {"pool": 2, "layers": [0, 1]}}
    config = write(tmp_path / "train.yaml", STACK, other)
    words = from_features(arguments(dump, tmp_path / "exp", config), dump, feats)
    assert "made with other settings" in refused(task, words)


def test_training_refuses_another_models_features(
    task, dump, extracted, make_tiny_whisper, tmp_path
):
    """The same settings, other weights under the same name."""
    config, feats = extracted("hf_whisper")
    other = make_tiny_whisper(hidden=16, seconds=4, max_tokens=40, seed=5)
    words = from_features(arguments(dump, tmp_path / "exp", config), dump, feats)
    said = refused(task, [*words, "--ssl_checkpoint", str(other)])
    assert "made with other weights" in said and str(feats / "train") in said


def test_training_refuses_a_model_that_learns_and_half_a_folder(task, dump, extracted, tmp_path):
    config, feats = extracted("hf_whisper")
    words = from_features(arguments(dump, tmp_path / "exp", config), dump, feats)
    learning = [*words, "--freeze_param", "frontend.net.model.conv1"]
    assert "this one learns" in refused(task, learning)
    missing = [word.replace(f"{feats}/dev", f"{feats}/none") for word in words]
    assert "does not exist" in refused(task, missing)


def test_a_resumed_training_refuses_features_that_were_made_anew(
    task, dump, extracted, trained_both, tmp_path
):
    """Its weights come with the checkpoint, not from the pretrained folder."""
    import shutil

    config, feats = extracted("hf_whisper")
    exp, copy = shutil.copytree(trained_both[1], tmp_path / "exp"), tmp_path / "feats"
    shutil.copytree(feats, copy)
    words = from_features(arguments(dump, exp, config), dump, copy)
    go_on = [*words, "--resume", "true", "--max_epoch", "3"]
    for record in copy.glob("*/extracted.json"):
        content = json.loads(record.read_text())
        content["key"]["weights"] = "another"
        record.write_text(json.dumps(content))
    assert "made with other weights" in refused(task, go_on)
    shutil.rmtree(copy)
    shutil.copytree(feats, copy)
    task.main(cmd=go_on)
    assert (exp / "3epoch.pth").exists()


def test_a_second_run_computes_nothing_and_another_model_everything(
    task, dump, extracted, make_tiny_whisper, monkeypatch, tmp_path
):
    import shutil

    from asr_dro_plugin.espnet.parts.hf_whisper import HFWhisperFrontend

    config, feats = extracted("hf_whisper")
    copy, calls = shutil.copytree(feats, tmp_path / "feats"), []
    hidden = HFWhisperFrontend.hidden_layers

    def counted(self, speech, lengths):
        calls.append(len(speech))
        return hidden(self, speech, lengths)

    monkeypatch.setattr(HFWhisperFrontend, "hidden_layers", counted)
    extraction(config, dump, copy, "--num_parts", "3")
    assert not calls
    other = make_tiny_whisper(hidden=16, seconds=4, max_tokens=40, seed=5)
    extraction(config, dump, copy, "--num_parts", "2", "--ssl_checkpoint", str(other))
    assert sum(calls) == 32
    kept, made = (read_features(each / "dev" / "feats.scp") for each in (feats, copy))
    assert all((kept[utt_id] != made[utt_id]).any() for utt_id in kept)


def test_a_part_that_was_killed_goes_on(task, dump, extracted, monkeypatch, tmp_path):
    from asr_dro_plugin.espnet.extract import extraction as module

    config, feats = extracted("hf_whisper")
    calls, matrices_of = [], module.matrices_of

    def killed(frontend, items, device):
        calls.append(len(items))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return matrices_of(frontend, items, device)

    monkeypatch.setattr(module, "matrices_of", killed)
    monkeypatch.setitem(module.BATCH_SECONDS, "cpu", 3.0)
    with pytest.raises(KeyboardInterrupt):
        extraction(config, dump, tmp_path)
    finished, calls[:] = sum(calls[:2]), [0, 0, 0]
    extraction(config, dump, tmp_path)
    assert finished > 0 and sum(calls) == 32 - finished
    for split in ("train", "dev"):
        whole, pieces = (read_features(each / split / "feats.scp") for each in (feats, tmp_path))
        assert all(abs(whole[u].astype(float) - pieces[u]).max() < 5e-3 for u in whole)


def test_too_little_disk_is_told_before_anything_is_made(extracted, dump, monkeypatch, tmp_path):
    import shutil

    config, _ = extracted("hf_whisper")
    usage = shutil.disk_usage(tmp_path)._replace(free=(1 << 30) + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        UserError, match="0.00 GB can be used there. Take fewer frontend_conf.layer"
    ):
        extraction(config, dump, tmp_path / "feats", "--plan", "true")
    assert not (tmp_path / "feats").exists()


def test_a_layer_that_does_not_exist_is_refused(dump, stacks, tmp_path):
    stack = {**stacks["hf_whisper"], "frontend_conf": {"layers": [7]}}
    config = write(tmp_path / "train.yaml", STACK, stack)
    with pytest.raises(UserError, match="Legal"):
        extraction(config, dump, tmp_path / "feats")
    assert not (tmp_path / "feats").exists()


def test_the_plan_says_by_how_much_speeds_multiply(extracted, dump, tmp_path, caplog):
    config, _ = extracted("hf_whisper")
    caplog.set_level("INFO")
    extraction(config, dump, tmp_path, "--plan", "true", "--speeds", "0.9 1.0 1.1")
    assert "3.02 fold" in caplog.text


def test_what_the_model_does_not_take_is_left_to_stage_10(
    task, dump, stacks, make_tiny_whisper, tmp_path, caplog
):
    whisper = make_tiny_whisper(hidden=16, seconds=1, max_tokens=40)
    stack = {**stacks["hf_whisper"], "ssl_checkpoint": str(whisper)}
    extraction(write(tmp_path / "train.yaml", STACK, stack), dump, tmp_path / "feats")
    samples = read_table(dump / "train" / "utt2num_samples")
    short = {utt_id for utt_id, number in samples.items() if int(number) <= 16000}
    assert 0 < len(short) < len(samples)
    assert set(read_table(tmp_path / "feats" / "train" / "utt2num_frames")) == short
    left = len(samples) - len(short)
    assert f"{left} utterances are longer or shorter than the model takes" in caplog.text
