"""asr-dro import and export, from the command line to a transcript and a training that goes on."""

import json
import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch
import yaml

from asr_dro_plugin.bin import export_model, import_model, pack, transcribe
from asr_dro_plugin.bin import main as command_line
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.tokens import make_token_list
from tests import hf_models
from tests.espnet.conftest import arguments, make_dump
from tests.importing import nemo_files
from tests.importing.reading import read

SAMPLES = 16000


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Imported folders by kind, and what each was made from."""
    root = tmp_path_factory.mktemp("imported")
    nemo_files.write_nemo(root / "model.nemo")
    model = hf_models.write_folder(root / "hf")
    for kind, path in (("nemo", root / "model.nemo"), ("hf", root / "hf")):
        words = ["--from", kind, str(path), "--out", str(root / f"exp_{kind}")]
        assert import_model.main(words) == 0
    return root, model


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "noise.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(SAMPLES)
    soundfile.write(path, samples.astype("float32"), 16000, subtype="FLOAT")
    return path


def emission(exp, audio):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    samples, _ = soundfile.read(audio, dtype="float32")
    return load_recogniser(exp, "model.pth").emission([samples]), torch.from_numpy(samples)[None]


def test_a_table_of_all_tensors_is_printed(tmp_path, capsys):
    path = nemo_files.write_nemo(tmp_path / "model.nemo")
    assert import_model.main(["--from", "nemo", str(path), "--out", str(tmp_path / "exp")]) == 0
    lines = capsys.readouterr().out.splitlines()
    kinds = [line[:10].strip() for line in lines[:5]]
    assert kinds == ["used", "missing", "made", "not used", "unexpected"]
    number = len(nemo_files.weights()) - 2
    assert lines[0].split()[:3] == ["used", str(number), "tensors"]
    assert "preprocessor.featurizer.fb (computed from the settings)" in lines[3]
    assert lines[5].endswith("6 tokens, <blank> is number 5.")
    assert f"asr-dro transcribe AUDIO --exp {tmp_path / 'exp'}" in lines[6]


def test_the_recogniser_of_a_nemo_file_computes_what_the_plain_reference_does(task, folders, audio):
    from asr_dro_plugin.features.log_mel import LogMel
    from asr_dro_plugin.features.settings import LogMelSettings

    found, samples = emission(folders[0] / "exp_nemo", audio)
    features = LogMel(LogMelSettings(n_mels=nemo_files.MELS))(samples[0].numpy())
    expected = nemo_files.reference(nemo_files.weights(), torch.from_numpy(features)[None])
    torch.testing.assert_close(torch.from_numpy(found.log_probs), expected, rtol=0, atol=1e-5)
    assert (found.blank_id, found.frame_shift) == (5, 0.02)


def test_the_recogniser_of_a_hugging_face_folder_computes_what_transformers_does(
    task, folders, audio
):
    found, samples = emission(folders[0] / "exp_hf", audio)
    expected = hf_models.log_probs(folders[1], samples)
    torch.testing.assert_close(torch.from_numpy(found.log_probs), expected, rtol=0, atol=1e-4)
    assert (found.blank_id, found.frame_shift) == (6, 0.02)


@pytest.mark.parametrize("kind", ["nemo", "hf"])
def test_it_transcribes_also_where_it_was_moved_to(kind, task, folders, audio, tmp_path, capsys):
    shutil.copytree(folders[0] / f"exp_{kind}", tmp_path / "moved")
    texts = []
    for exp in (folders[0] / f"exp_{kind}", tmp_path / "moved"):
        assert transcribe.main([str(audio), "--exp", str(exp)]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and texts[0].strip()
    assert "<blank>" not in texts[0] and "<space>" not in texts[0]


def test_espnets_own_search_is_refused_where_the_blank_is_not_the_first_token(
    task, folders, audio, tmp_path
):
    (tmp_path / "decode.yaml").write_text("mode: espnet\nbeam_size: 2\nctc_weight: 1.0\n")
    words = [str(audio), "--exp", str(folders[0] / "exp_nemo")]
    with pytest.raises(UserError, match=r"<blank> as token number 5.*decode_asr_beam"):
        transcribe.main([*words, "--config", str(tmp_path / "decode.yaml")])


def test_it_is_packed_and_unpacked_whole(task, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exp = folders[0] / "exp_hf"
    words = [str(exp), "--out", str(tmp_path / "model.zip"), "--model_file", "model.pth"]
    assert pack.main(words) == 0
    again = ["--from", "espnet", str(tmp_path / "model.zip"), "--out", str(tmp_path / "again")]
    assert import_model.main(again) == 0
    first, second = read(exp)[1], read(tmp_path / "again")[1]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def continued(task, root, exp, config, out):
    """The model with which a training continues from ``exp`` on the data below ``root``."""
    from asr_dro_plugin.espnet.start.checks import model_conf_of, read_groups

    texts = {f"eng_{i}": f"[eng] {text}" for i, text in enumerate(["a b", "c d"])}
    make_token_list(texts, root, "text", init_tokens=exp / "tokens.txt")
    words = [*arguments(root, out, config), "--init_exp", str(exp), "--extend_groups", "true"]
    parsed = task.get_parser().parse_args(words)
    parsed.groups = read_groups(parsed.groups)
    parsed.model_conf = model_conf_of(parsed)
    return task.build_model(parsed), (root / "tokens.txt").read_text().split("\n")[:-1]


@pytest.mark.parametrize("kind", ["nemo", "hf"])
def test_training_goes_on_from_it_with_the_blank_first(kind, task, folders, tmp_path):
    exp = folders[0] / f"exp_{kind}"
    config, state, _, old = read(exp)
    made = {key: config[key] for key in ("encoder", "encoder_conf", "ctc_conf") if config[key]}
    made["frontend"] = config["frontend"] or "none"
    if config["frontend"]:
        made["frontend_conf"] = config["frontend_conf"]
    made |= {"normalize": "none", "model": "dro", "model_conf": {"ctc_weight": 1.0}}
    yaml_file = tmp_path / "train.yaml"
    yaml_file.write_text(yaml.safe_dump({**made, "optim": "adam", "decoder": "none"}))
    root = make_dump(tmp_path / "dump", langs=("eng", "deu"), num=2)
    model, new = continued(task, root, exp, yaml_file, tmp_path / "exp")
    assert new[:2] == ["<blank>", "<unk>"] and new[-1] == "<sos/eos>" and model.blank_id == 0
    for name, tensor in model.state_dict().items():
        if name.startswith("ctc."):
            for row, token in enumerate(old):
                assert torch.equal(tensor[new.index(token)], state[name][row]), (name, token)
        elif name in state:
            assert torch.equal(tensor, state[name]), name
    body = {name for name in state if not name.startswith("ctc.")}
    assert body <= set(model.state_dict())


def test_export_goes_back_to_hugging_face(task, folders, tmp_path, capsys):
    words = [str(folders[0] / "exp_hf"), "--to", "hf", "--out", str(tmp_path / "out")]
    assert export_model.main(words) == 0
    assert "Wav2Vec2ForCTC.from_pretrained" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "vocab.json").read_text()) == hf_models.LETTERS
    with pytest.raises(UserError, match="its encoder is quartznet. Legal: hf_wav2vec2"):
        export_model.main(
            [str(folders[0] / "exp_nemo"), "--to", "hf", "--out", str(tmp_path / "no")]
        )


def test_a_fault_is_one_line_and_an_exit_code(tmp_path, monkeypatch, capsys):
    words = ["import", "--from", "hf", str(tmp_path), "--out", str(tmp_path / "exp")]
    monkeypatch.setattr(sys, "argv", ["asr-dro", *words])
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ERROR: {tmp_path} has neither")


def test_a_rename_rule_needs_two_sides(tmp_path):
    with pytest.raises(UserError, match="--rename fc. is not of the form OLD=NEW"):
        import_model.main(
            ["--from", "state_dict", "x.pth", "--out", str(tmp_path / "exp"), "--rename", "fc."]
        )
