"""Damaged or hostile Hugging Face files ended an import with a traceback, or were taken."""

import json
import struct

import pytest
import torch

from asr_dro_plugin.errors import UserError
from tests import hf_models
from tests.importing.reading import everything_below, imported

ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
HEADERS = {
    "negative_shape": {"a": {**ENTRY, "shape": [-1]}},
    "huge_shape": {"a": {**ENTRY, "shape": [2**62, 4]}},
    "overlap": {"a": ENTRY, "b": ENTRY},
    "unknown_type": {"a": {**ENTRY, "dtype": "Q9"}},
    "other_size": {"a": {**ENTRY, "shape": [5]}},
    "offsets_as_text": {"a": {**ENTRY, "data_offsets": ["0", "4"]}},
    "no_offsets": {"a": {**ENTRY, "data_offsets": []}},
    "strange_metadata": {"__metadata__": [1], "a": ENTRY},
}


@pytest.fixture
def folder(tmp_path):
    hf_models.write_folder(tmp_path / "hf")
    return tmp_path / "hf"


def refused(folder, words):
    before = everything_below(folder.parent)
    with pytest.raises(UserError, match=words) as caught:
        imported("hf", folder, folder.parent / "exp")
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 600
    assert everything_below(folder.parent) == before


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_refused(name, folder):
    header = json.dumps(HEADERS[name]).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(4)
    (folder / "model.safetensors").write_bytes(content)
    refused(folder, "model.safetensors is damaged")


def test_a_header_without_end_is_refused(folder):
    header = b"[" * 100_000
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(folder, "model.safetensors is damaged")


@pytest.mark.parametrize("weight_map", [["a"], None, {}, {"a": 1}, {"a": "../b"}])
def test_an_index_that_names_no_files_of_its_folder_is_refused(weight_map, folder):
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    refused(folder, "index.json|lacks 1")


@pytest.mark.parametrize("content", [[1], {}, {"model": {"a": torch.ones(1)}}])
def test_a_file_without_tensors_is_not_called_pretrained(content, folder):
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    refused(folder, "pytorch_model.bin holds no tensors by name")


def test_a_quantized_head_is_not_taken_for_numbers(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    state = load_file(path)
    save_file({**state, "lm_head.weight": state["lm_head.weight"].to(torch.int8)}, path)
    refused(folder, "lm_head.weight .* holds int8, not real numbers")


@pytest.mark.parametrize(("key", "value", "words"), [
    ("mask_time_prob", "x", "mask_time_prob 'x', which is no number"),
    ("mask_feature_prob", None, "mask_feature_prob None, which is no number"),
    ("final_dropout", None, "final_dropout None, which is no number"),
    ("conv_stride", [0] * 7, r"conv_stride \[0, .*which no convolutions have"),
    ("conv_dim", [8] * 10_000, "conv_dim .*which no convolutions have"),
])  # fmt: skip
def test_settings_of_no_network_are_refused(key, value, words, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    refused(folder, words)


@pytest.mark.parametrize("architectures", [{"a": 1}, "X", [], [1], 0])
def test_the_name_of_the_class_is_only_noted(architectures, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": architectures}))
    imported("hf", folder, folder.parent / "exp")


@pytest.mark.parametrize("token", ["\ud800", "\x00", "\x1b[2J", "a\nb", "x" * 10_000])
def test_a_token_that_is_no_line_of_text_is_refused(token, folder):
    vocab = {(token if name == "a" else name): row for name, row in hf_models.LETTERS.items()}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    refused(folder, "token number 2 is .* no line of a list")


def test_a_flag_that_is_text_is_refused(folder):
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_normalize": "false"}))
    refused(folder, "do_normalize 'false'; it is true or false")


def test_a_row_of_five_thousand_digits_is_no_row(folder):
    path = folder / "tokenizer_config.json"
    decoder = {"9" * 5000: {"content": "x"}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "added_tokens_decoder": decoder}))
    imported("hf", folder, folder.parent / "exp")


def test_folders_above_the_output_go_with_it(folder):
    (folder / "vocab.json").unlink()
    before = everything_below(folder.parent)
    with pytest.raises(UserError, match="has no vocab.json"):
        imported("hf", folder, folder.parent / "a" / "b" / "exp")
    assert everything_below(folder.parent) == before
