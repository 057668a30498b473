"""A Whisper folder as an experiment: every tensor accounted for, its tokens and prompt with it."""

import json
import shutil

import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.sources import ImportOptions, import_model
from asr_dro_plugin.pretrained.hf_folders import read_weights
from asr_dro_plugin.text.tokens import read_tokens
from asr_dro_plugin.text.whisper_tokens import WhisperTokenizer

pytest_plugins = ["tests.fixtures_whisper"]


@pytest.fixture(scope="module")
def imported(tiny_whisper, tmp_path_factory):
    """(folder, what import said, the experiment)."""
    exp = tmp_path_factory.mktemp("imported") / "exp"
    return tiny_whisper, import_model("hf", tiny_whisper, exp, ImportOptions()), exp


def test_every_tensor_has_its_place(imported):
    folder, made, exp = imported
    theirs = read_weights(folder)
    ours = torch.load(exp / "model.pth", weights_only=True)
    assert len(made.account.used) == len(ours) == len(theirs) and not made.account.unexpected
    for name, source, _ in made.account.used:
        assert torch.equal(ours[name], theirs[source])
    assert made.blank_id is None


def test_tokens_tokenizer_and_what_is_never_written_go_along(imported):
    folder, made, exp = imported
    names = read_tokens(exp / "tokens.txt")
    assert names == made.tokens and "[eng]" in names
    kept = WhisperTokenizer(exp / "tokenizer.json")
    assert kept("[deu] guten tag") == WhisperTokenizer(folder)("[deu] guten tag")
    config = yaml.safe_load((exp / "config.yaml").read_text())
    told = json.loads((folder / "generation_config.json").read_text())
    for key in ("suppress_tokens", "begin_suppress_tokens"):
        assert config["decoder_conf"][key] == told[key]
    assert config["model_conf"]["text_prompt"] == ["<|transcribe|>", "<|notimestamps|>"]


def test_a_new_vocabulary_is_refused(imported, tmp_path):
    folder, _, exp = imported
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("<blank>\na\n")
    with pytest.raises(UserError, match="--new_vocab is for CTC"):
        import_model("hf", folder, tmp_path / "exp", ImportOptions(new_vocab=tokens))
    assert not (tmp_path / "exp").exists()


def test_one_that_knows_english_alone_is_refused(imported, tmp_path):
    shutil.copytree(imported[0], tmp_path / "en")
    path = tmp_path / "en" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "is_multilingual": False}))
    with pytest.raises(UserError, match="knows English alone"):
        import_model("hf", tmp_path / "en", tmp_path / "exp", ImportOptions())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer"])
def test_a_missing_file_is_named(imported, tmp_path, name):
    shutil.copytree(imported[0], tmp_path / "x")
    for file in (tmp_path / "x").glob("*"):
        is_tokens = file.name in ("tokenizer.json", "vocab.json")
        if file.name == name or (name == "tokenizer" and is_tokens):
            file.unlink()
    with pytest.raises(UserError, match=name.split(".")[0]):
        import_model("hf", tmp_path / "x", tmp_path / "exp", ImportOptions())
