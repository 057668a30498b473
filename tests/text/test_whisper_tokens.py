"""Whisper's token list, text to tokens and back, against transformers' own tokenizer."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.bin import make_tokens
from asr_dro_plugin.decoding.greedy import speller, tokens_to_text
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text import tokens, whisper_tokens
from asr_dro_plugin.text.whisper_languages import WHISPER_CODES, WHISPER_LANGUAGES
from tests.tool_modules import load_tool

pytest_plugins = ["tests.fixtures_whisper"]
TEXTS = ["guten tag", "der hund, die katze!", "日本語 x", "ñandú", "a  b", "", "привет 'как' дела"]


@pytest.fixture(scope="module")
def read(tiny_whisper):
    """(folder, its tokenizer, transformers' tokenizer)."""
    from transformers import WhisperTokenizer

    theirs = WhisperTokenizer.from_pretrained(tiny_whisper)
    return tiny_whisper, whisper_tokens.read_tokenizer(tiny_whisper), theirs


def test_ids_are_those_of_the_model_and_only_languages_have_other_names(read):
    _, tokenizer, theirs = read
    names = whisper_tokens.token_names(tokenizer)
    renamed = {}
    for number, name in enumerate(names):
        original = theirs.convert_ids_to_tokens(number)
        if name != original:
            renamed[original] = name
    assert renamed["<|en|>"] == "[eng]" and renamed["<|cs|>"] == "[ces]"
    assert len(renamed) == 8 and len(names) == len(theirs)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_those_of_transformers_behind_a_space(read, text):
    folder, _, theirs = read
    ours = whisper_tokens.WhisperTokenizer(folder)(f"[deu] {text}".strip())
    assert ours[0] == "[deu]"
    assert ours[1:] == (theirs.tokenize(f" {text}") if text else [])


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_text_comes_back_from_its_pieces(read, text):
    folder, tokenizer, _ = read
    names = whisper_tokens.token_names(tokenizer)
    text = " ".join(text.split())
    ids = tokens.token_ids(tokens.build_tokenizer("hugging_face", (), folder), names)
    got = ids(f"[eng] {text}".strip())
    expected = f"[eng] {text}".strip()
    assert speller(names, "hugging_face")(got) == expected
    assert tokens_to_text(got, names, "hugging_face") == expected


def test_the_letters_of_bytes_are_those_of_the_tokenizers_and_no_white_space():
    from tokenizers.pre_tokenizers import ByteLevel

    letters = whisper_tokens.byte_letters()
    assert set(letters) == set(ByteLevel.alphabet())
    assert sorted(letters.values()) == list(range(256))
    assert not any(letter.isspace() for letter in letters)  # a token list has one token a line


def test_a_letter_that_is_cut_short_is_left_out(read):
    folder, tokenizer, _ = read
    names = whisper_tokens.token_names(tokenizer)
    pieces = whisper_tokens.WhisperTokenizer(folder).pieces("aé")
    assert tokens_to_text(map(names.index, pieces[:-1]), names, "hugging_face") == "a"


def test_older_models_without_tokenizer_json_have_the_same_tokens(read, tmp_path):
    folder, tokenizer, _ = read
    for name in ("vocab.json", "merges.txt", "added_tokens.json"):
        shutil.copy(folder / name, tmp_path)
    parts = whisper_tokens.read_tokenizer(tmp_path)
    assert whisper_tokens.token_names(parts) == whisper_tokens.token_names(tokenizer)
    assert parts.encode(" guten tag").tokens == tokenizer.encode(" guten tag").tokens


def test_a_language_that_whisper_does_not_know_gets_a_token_at_the_end(read):
    _, tokenizer, _ = read
    plain = whisper_tokens.token_names(tokenizer)
    names = whisper_tokens.token_names(tokenizer, 0, ["[xty]", "[deu]"])
    assert names == [*plain, "[xty]"]


def test_rows_without_a_token_are_named_by_their_number(read):
    _, tokenizer, _ = read
    plain = whisper_tokens.token_names(tokenizer)
    names = whisper_tokens.token_names(tokenizer, len(plain) + 2)
    assert names[len(plain) :] == [f"<|unused{len(plain) + n}|>" for n in (0, 1)]
    with pytest.raises(UserError, match="they are of two models"):
        whisper_tokens.token_names(tokenizer, 10)


def test_a_language_is_named_as_the_texts_name_it(tmp_path):
    """Estonian is est, and ekk where the data say so."""
    from tokenizers import AddedToken, Tokenizer, models

    tokenizer = Tokenizer(models.BPE())
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|et|>", "<|transcribe|>"]
    special.append("<|notimestamps|>")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    assert "[est]" in whisper_tokens.token_names(tokenizer)
    assert "[ekk]" in whisper_tokens.token_names(tokenizer, 0, ["[ekk]"])


def test_the_table_has_the_languages_of_transformers():
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    assert set(WHISPER_LANGUAGES) == set(LANGUAGES)
    assert all(len(iso) == 3 for iso in WHISPER_CODES)
    assert len(WHISPER_CODES) == sum(map(len, WHISPER_LANGUAGES.values()))


def test_a_language_has_the_code_of_the_recipes_table():
    from asr_dro_plugin.text.languages import read_languages

    known = set(read_languages(Path(__file__).resolve().parents[2] / "local" / "languages.tsv"))
    for isos in WHISPER_LANGUAGES.values():
        first_known = next((iso for iso in isos if iso in known), isos[0])
        assert first_known == isos[0]


def test_a_text_without_tag_needs_a_language(read):
    folder, _, _ = read
    assert whisper_tokens.WhisperTokenizer(folder, "deu")("tag")[0] == "[deu]"
    assert whisper_tokens.WhisperTokenizer(folder, "deu")("[pol] tak")[0] == "[pol]"
    with pytest.raises(UserError, match="whisper_language"):
        whisper_tokens.WhisperTokenizer(folder)("tag")


def test_a_language_that_the_list_lacks_is_an_error(read):
    folder, tokenizer, _ = read
    names = whisper_tokens.token_names(tokenizer)
    ids = tokens.token_ids(tokens.build_tokenizer("hugging_face", (), folder), names)
    with pytest.raises(UserError, match=r"lacks \[xty\]. Run stage 5 again"):
        ids("[xty] a")


def test_another_models_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no tokenizer"):
        whisper_tokens.read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="holds no tokenizer"):
        whisper_tokens.read_tokenizer(tmp_path)


def write_text(path, *lines):
    path.write_text("".join(f"utt{n} {line}\n" for n, line in enumerate(lines)))
    return path


def test_stage_5_writes_list_and_tokenizer_of_the_model(read, tmp_path):
    folder, tokenizer, _ = read
    text = write_text(tmp_path / "text", "[xty] ab", "[deu] tag")
    words = ["--text", str(text), "--out_dir", str(tmp_path), "--token_type", "hugging_face"]
    make_tokens.main([*words, "--ssl_checkpoint", str(folder)])
    names = tokens.read_tokens(tmp_path / "tokens.txt")
    assert names == whisper_tokens.token_names(tokenizer, 0, ["[xty]"])
    again = whisper_tokens.WhisperTokenizer(tmp_path / "tokenizer.json")
    assert again("[deu] guten tag") == whisper_tokens.WhisperTokenizer(folder)("[deu] guten tag")
    assert (tmp_path / "nlsyms.txt").read_text().split() == ["[deu]", "[xty]"]
    # A continued experiment: its list and its tokenizer, new languages behind.
    more = tmp_path / "more"
    text = write_text(tmp_path / "text2", "[abk] ab")
    words = ["--text", str(text), "--out_dir", str(more), "--token_type", "hugging_face"]
    make_tokens.main([*words, "--init_tokens", str(tmp_path / "tokens.txt")])
    assert tokens.read_tokens(more / "tokens.txt") == [*names, "[abk]"]
    with pytest.raises(UserError, match="Give --ssl_checkpoint"):
        make_tokens.main(words)


def test_the_tiny_models_special_tokens_are_in_whispers_order():
    special = load_tool("make_tiny_whisper").special_tokens(["en", "zh"], 1)
    assert special[:4] == ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>"]
    assert special[4:10] == [
        "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>",
        "<|notimestamps|>",
    ]  # fmt: skip
    assert special[10] == "<|0.00|>" and special[-1] == "<|1.00|>"
