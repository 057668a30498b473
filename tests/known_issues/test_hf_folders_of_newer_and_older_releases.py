"""Folders as transformers 5 writes them, or without a tokenizer's settings, were misread."""

import json

import pytest
import torch

from asr_dro_plugin.stack.use_checkpoint import normalizes_at
from tests import hf_models
from tests.importing.reading import imported, read

TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json")


@pytest.fixture
def folder(tmp_path):
    hf_models.write_folder(tmp_path / "hf")
    return tmp_path / "hf"


def in_one_file(folder, **changes):
    """What the preprocessor's file says as ``Wav2Vec2Processor.save_pretrained`` has it now."""
    old = folder / "preprocessor_config.json"
    content = {"feature_extractor": {**json.loads(old.read_text()), **changes}}
    (folder / "processor_config.json").write_text(json.dumps(content))
    old.unlink()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_processors_one_file_says_how_audio_is_prepared(wanted, folder, tmp_path):
    in_one_file(folder, do_normalize=wanted, return_attention_mask=True)
    conf = read(imported("hf", folder, tmp_path / "exp"))[0]["encoder_conf"]
    assert (conf["do_normalize"], conf["attention_mask"]) == (wanted, True)
    assert normalizes_at(folder) is wanted


def test_without_a_tokenizers_settings_the_networks_own_blank_is_taken(folder, tmp_path):
    for name in TOKENIZER:
        (folder / name).unlink()
    _, _, facts, tokens = read(imported("hf", folder, tmp_path / "exp"))
    assert tokens == ["<space>", "?", "a", "b", "c", "<unk>", "<blank>"]
    assert facts["special_tokens"] == {"<blank>": "[PAD]", "<unk>": "[UNK]", "<space>": "|"}


def test_a_languages_adapter_may_be_a_pytorch_file(folder, tmp_path):
    (folder / "vocab.json").write_text(json.dumps({"abc": hf_models.LETTERS}))
    head = {"lm_head.weight": torch.ones(7, 16), "lm_head.bias": torch.zeros(7)}
    torch.save(head, folder / "adapter.abc.bin")
    state = read(imported("hf", folder, tmp_path / "exp", lang="abc"))[1]
    assert torch.equal(state["ctc.ctc_lo.weight"], head["lm_head.weight"])
