"""asr-dro pack and unpack on trained models, and ESPnet's own model zoo on what they make.

One process of ESPnet's for all stacks.  The SSL stacks are disturbed rather than trained, and their
pretrained checkpoints are gone when the packed model is loaded.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin import main as command_line
from asr_dro_plugin.bin import pack, transcribe, unpack
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.config_paths import config_in_place
from tests.espnet.conftest import dump, task, trained, write_config  # noqa: F401  the fixtures
from tests.espnet.test_espnets_own_tools import disturbed
from tests.packs import contents, everything_below, write_experiment

pytest_plugins = ["tests.fixtures_ssl"]
MODEL = "valid.cer_ctc.ave.pth"
STACKS = ("conv_ctc", "hf", "s3prl", "wav2vec2")

# What a user of ESPnet types, offline, from a folder that has nothing to do with the experiments.
ESPNETS_OWN = """
import json, sys, numpy as np, soundfile, torch
import asr_dro_plugin.espnet
from espnet2.bin.asr_inference import Speech2Text
from espnet_model_zoo.downloader import ModelDownloader
audio, out, cache, exp, model, *archives = sys.argv[1:]
speech = torch.from_numpy(soundfile.read(audio, dtype="float32")[0])
for number, archive in enumerate(archives):
    if number:
        found = ModelDownloader(cache).download_and_unpack(archive)
        speech2text = Speech2Text(**found, ctc_weight=1.0)
    else:
        speech2text = Speech2Text.from_pretrained(archive, ctc_weight=1.0, beam_size=2)
        own = Speech2Text(f"{exp}/config.yaml", f"{exp}/{model}", ctc_weight=1.0, beam_size=2)
        texts = [decoder(speech.numpy())[0][0] for decoder in (speech2text, own)]
        with open(f"{out}/texts", "w") as stream:
            json.dump(texts, stream)
    with torch.no_grad():
        enc, _ = speech2text.asr_model.encode(speech[None], torch.tensor([len(speech)]))
        np.save(f"{out}/{number}.npy", speech2text.asr_model.ctc.log_softmax(enc).numpy())
"""


@pytest.fixture(scope="module")
def audio(dump) -> str:  # noqa: F811
    return next(iter(read_table(dump / "test" / "wav.scp").values()))


def log_probs(exp: Path, audio: str) -> np.ndarray:
    """What our loader gives; the experiment's own place need not be the working directory."""
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    speech = soundfile.read(audio, dtype="float32")[0]
    return load_recogniser(exp, MODEL).emission([speech]).log_probs


@pytest.fixture(scope="module")
def packed(task, dump, trained, make_tiny_ssl, audio, tmp_path_factory):  # noqa: F811
    """stack -> (archive, log probabilities before it was packed); the checkpoints are gone."""
    root, ssl = tmp_path_factory.mktemp("stacks"), make_tiny_ssl()
    plain = {"encoder": "identity", "encoder_conf": {}}
    frontend = {**plain, "frontend": "s3prl", "frontend_conf": {}}
    raw = {"frontend": "none", "frontend_conf": {}, "normalize": "none", "encoder_conf": {}}
    exps = {
        "conv_ctc": trained,
        "hf": disturbed(task, dump, root / "hf", **frontend, ssl_checkpoint=str(ssl.hf)),
        "s3prl": disturbed(task, dump, root / "s3prl", **frontend, ssl_checkpoint=str(ssl.s3prl)),
        "wav2vec2": disturbed(
            task, dump, root / "wav2vec2", **raw, encoder="wav2vec2",
            ssl_checkpoint=str(ssl.fairseq),
        ),
    }  # fmt: skip
    made = {}
    for stack, exp in exps.items():
        before = log_probs(exp, audio)
        archive = root / f"{stack}.zip"
        assert pack.main([str(exp), "--out", str(archive), "--licence", "CC BY-SA 3.0"]) == 0
        made[stack] = archive, before
    shutil.rmtree(ssl.folder)
    return made


@pytest.fixture(scope="module")
def espnets(packed, trained, audio, tmp_path_factory) -> Path:  # noqa: F811
    """Folder of what ESPnet makes of the archives."""
    out, cache = tmp_path_factory.mktemp("espnets"), tmp_path_factory.mktemp("cache")
    archives = [str(archive) for archive, _ in packed.values()]
    words = [audio, str(out), str(cache), str(trained), MODEL, *archives]
    command = [sys.executable, "-c", ESPNETS_OWN, *words]
    home = {"HOME": str(cache), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=cache, env={**home, **offline, "OMP_NUM_THREADS": "1"}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.mark.parametrize("stack", STACKS)
def test_espnets_model_zoo_gives_the_log_probs_of_the_experiment(packed, espnets, stack):
    theirs = np.load(espnets / f"{STACKS.index(stack)}.npy")
    assert np.allclose(theirs, packed[stack][1], atol=1e-5)


def test_from_pretrained_takes_the_archive_and_writes_the_text_of_the_experiment(espnets):
    packed_text, own_text = json.loads((espnets / "texts").read_text())
    assert packed_text == own_text != ""


@pytest.mark.parametrize("stack", STACKS)
def test_an_unpacked_model_gives_the_same_log_probs(packed, audio, stack, tmp_path, monkeypatch):
    archive, before = packed[stack]
    assert unpack.main([str(archive), "--out", str(tmp_path / "out")]) == 0
    monkeypatch.chdir(tmp_path / "out")
    assert np.array_equal(log_probs(tmp_path / "out", audio), before)


@pytest.mark.parametrize("stack", STACKS)
def test_an_unpacked_model_may_be_moved(packed, stack, tmp_path, task):  # noqa: F811
    unpack.main([str(packed[stack][0]), "--out", str(tmp_path / "out")])
    (tmp_path / "out").rename(tmp_path / "moved")
    state = torch.load(tmp_path / "moved" / MODEL, weights_only=True)
    with config_in_place(tmp_path / "moved") as config:
        model, _ = task.build_model_from_file(config, tmp_path / "moved" / MODEL)
    torch.testing.assert_close(dict(model.state_dict()), state, rtol=0, atol=0, equal_nan=True)


def test_a_pretrained_checkpoint_goes_along_without_its_weights(packed):
    for stack in STACKS[1:]:
        members = contents(packed[stack][0])
        ssl = {name: len(raw) for name, raw in members.items() if name.startswith("ssl/")}
        assert ssl and sum(ssl.values()) < len(members[MODEL]) / 2


def test_the_text_of_an_unpacked_model_is_that_of_the_experiment(
    packed, trained, audio, tmp_path, capsys  # noqa: F811
):  # fmt: skip
    unpack.main([str(packed["conv_ctc"][0]), "--out", str(tmp_path / "out")])
    line = capsys.readouterr().out.splitlines()[-1]
    words = line.removeprefix("Use it: asr-dro ").replace("AUDIO", audio).split()
    assert command_line.dispatch(words) == 0
    unpacked = capsys.readouterr().out
    assert command_line.dispatch(["transcribe", audio, "--exp", str(trained)]) == 0
    assert capsys.readouterr().out == unpacked


def test_the_card_is_read_by_the_hubs_own_package(packed):
    from huggingface_hub import ModelCard

    text = contents(packed["conv_ctc"][0])["README.md"].decode()
    card = ModelCard(text)
    assert card.data.license == "cc-by-sa-3.0" and card.data.language == ["deu", "eng"]
    assert card.data.library_name == "espnet"
    assert re.search(r"asr-dro unpack (\S+)\.zip --out \1\n", text)


def test_items_seen_are_those_of_the_training(packed, dump, trained):  # noqa: F811
    manifest = json.loads(contents(packed["conv_ctc"][0])["asr_dro.json"])
    training = manifest["training"]
    assert training["items_seen"] == len(read_table(dump / "train" / "text"))  # one epoch
    assert sum(row["seconds"] for row in training["seen"]) == pytest.approx(
        training["seconds_seen"]
    )


def test_steps_times_batch_times_accumulation_is_what_the_card_says(
    task, dump, tmp_path  # noqa: F811
):  # fmt: skip
    """Row A20: 2 steps of 3 batches of 2."""
    from tests.espnet.conftest import arguments

    config = write_config(
        tmp_path / "t.yaml", model="dro", batch_type="unsorted", batch_size=2, accum_grad=3,
        num_iters_per_epoch=6,
    )  # fmt: skip
    task.main(cmd=arguments(dump, tmp_path / "exp", config))
    pack.main([str(tmp_path / "exp"), "--out", str(tmp_path / "m.zip")])
    members = contents(tmp_path / "m.zip")
    training = json.loads(members["asr_dro.json"])["training"]
    assert training["items_seen"] == 12 and training["updates"] == 2
    assert sum(row["seconds"] for row in training["seen"]) == pytest.approx(
        training["seconds_seen"]
    )
    assert "| total |  | 12 | " in members["README.md"].decode()


def test_nothing_is_written_where_the_experiment_is_none(tmp_path):
    (tmp_path / "exp").mkdir()
    with pytest.raises(UserError, match="holds no config.yaml"):
        pack.main([str(tmp_path / "exp"), "--out", str(tmp_path / "model.zip")])
    with pytest.raises(UserError, match="must end in .zip"):
        pack.main([str(tmp_path / "exp"), "--out", str(tmp_path / "model.tar")])
    assert everything_below(tmp_path) == ["exp"]


def test_espnets_own_archive_is_unpacked_and_decoded(trained, audio, tmp_path, monkeypatch):  # noqa: F811
    from espnet2.main_funcs.pack_funcs import pack as espnets_pack

    exp = tmp_path / "exp" / "asr_toy"
    shutil.copytree(trained, exp, symlinks=True)
    monkeypatch.chdir(tmp_path)
    espnets_pack({"asr_model_file": f"exp/asr_toy/{MODEL}"},
                 {"asr_train_config": "exp/asr_toy/config.yaml"}, "theirs.zip")  # fmt: skip
    before = log_probs(exp, audio)
    unpack.main(["theirs.zip", "--out", "out"])
    inside = next((tmp_path / "out").rglob("config.yaml")).parent
    name = next(inside.glob("*.pth")).name
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    speech = soundfile.read(audio, dtype="float32")[0]
    assert np.array_equal(load_recogniser(inside, name).emission([speech]).log_probs, before)
    assert yaml.safe_load((tmp_path / "out" / "meta.yaml").read_text())["espnet"] == "202611"


def test_every_option_that_a_card_names_is_one_of_transcribe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exp = write_experiment(tmp_path)
    (tmp_path / "decode.yaml").write_text("mode: greedy\n")
    (tmp_path / "lm" / "joint").mkdir(parents=True)
    (tmp_path / "lm" / "joint" / "lm.arpa").write_text("x")
    options = ["--inference_config", "decode.yaml", "--lm_dir", "lm", "--model_file", "4epoch.pth"]
    pack.main([str(exp), "--out", "m.zip", *options])
    card = contents(tmp_path / "m.zip")["README.md"].decode()
    line = next(line for line in card.splitlines() if line.startswith("asr-dro transcribe "))
    args = transcribe.get_parser().parse_args(line.split()[2:])
    assert (args.exp, args.model_file) == ("asr_toy", "4epoch.pth")
    assert (args.config, args.lm_dir) == ("asr_toy/decode.yaml", "asr_toy/lm")
