"""hf_vocabulary.py: our tokens as a Hugging Face tokenizer's files, and back."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.hf_vocabulary import read_vocabulary, tokenizer_files

LETTERS = st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="|")
SYMBOLS = st.text(LETTERS, min_size=1, max_size=3) | st.sampled_from(["<s>", "[deu]", "<pad>"])


@given(st.lists(SYMBOLS, unique=True, max_size=20), st.booleans(), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_tokens_come_back_from_the_files_that_were_made_of_them(symbols, unk, space, data):
    special = ["<blank>", *(["<unk>"] if unk else []), *(["<space>"] if space else [])]
    tokens = data.draw(st.permutations([*symbols, *(s for s in special if s not in symbols)]))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "model")
        folder.mkdir()
        for name, content in tokenizer_files(tokens).items():
            (folder / name).write_bytes(content)
        assert read_vocabulary(folder, len(tokens)).tokens == tokens


def test_names_that_the_special_symbols_had_are_given_back():
    files = tokenizer_files(["a", "<blank>"], {"<blank>": "[PAD]"}, do_lower_case=True)
    assert json.loads(files["vocab.json"]) == {"a": 0, "[PAD]": 1}
    settings = json.loads(files["tokenizer_config.json"])
    assert settings["pad_token"] == "[PAD]" and settings["do_lower_case"] is True
    assert settings["unk_token"] is None


@pytest.mark.parametrize(("vocab", "words"), [
    ({"a": 0, "<pad>": 1, "b\n": 2}, "is no line of a list"),
    ({"a": 0, "<pad>": 1, "<blank>": 2}, "has both '<blank>' and what stands for it"),
    ({"a": 0, "<pad>": 1, "b": "2"}, "not a table of tokens and their numbers"),
    ({}, "not a table of tokens and their numbers"),
])  # fmt: skip
def test_a_vocabulary_that_cannot_be_a_list_is_refused(vocab, words, tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    with pytest.raises(UserError, match=words):
        read_vocabulary(tmp_path, 3)
