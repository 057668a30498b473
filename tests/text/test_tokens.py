import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text import tokens

TEXTS = {
    "eng_a": "[eng] the cat sat on the mat", "eng_b": "[eng] don't go there now",
    "deu_a": "[deu] über allen gipfeln ist ruh", "rus_a": "[rus] привет мир как дела",
    "fra_a": "[fra] l'été sera chaud à paris", "eng_c": "[eng] a a  b", "deu_b": "[deu]",
}  # fmt: skip
LETTERS = st.text(st.sampled_from("abcdé' \u0301й[]xng中ที่\u2581"), max_size=40)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """tokens.txt, nlsyms.txt and bpe.model of each token type."""
    root = tmp_path_factory.mktemp("lists")
    for token_type in tokens.MADE_OF_TEXT:
        tokens.make_token_list(TEXTS, root / token_type, "train/text", token_type, nbpe=48)
    return root


def ours(lists, token_type):
    nlsyms = (lists / token_type / "nlsyms.txt").read_text().split()
    tokenizer = tokens.build_tokenizer(token_type, nlsyms, lists / token_type / "bpe.model")
    listed = tokens.read_tokens(lists / token_type / "tokens.txt")
    return tokenizer, tokens.token_ids(tokenizer, listed), listed


@pytest.fixture(scope="module")
def espnets(lists):
    """ESPnet's own tokenizer and converter, built from the same files as its training does."""
    from espnet2.text.build_tokenizer import build_tokenizer
    from espnet2.text.token_id_converter import TokenIDConverter

    return {
        token_type: (
            build_tokenizer(
                token_type,
                bpemodel=str(lists / token_type / "bpe.model"),
                non_linguistic_symbols=str(lists / token_type / "nlsyms.txt"),
            ),
            TokenIDConverter(lists / token_type / "tokens.txt"),
        )
        for token_type in tokens.MADE_OF_TEXT
    }


@pytest.mark.parametrize("token_type", tokens.MADE_OF_TEXT)
def test_tokens_and_ids_are_espnets(lists, espnets, token_type):
    tokenizer, to_ids, listed = ours(lists, token_type)
    theirs, converter = espnets[token_type]
    assert converter.token_list == listed

    @settings(deadline=None, max_examples=150)
    @given(text=LETTERS | st.sampled_from(sorted(TEXTS.values())))
    def check(text):
        expected = theirs.text2tokens(text)
        assert tokenizer(text) == expected
        assert to_ids(text) == converter.tokens2ids(expected)

    check()


@pytest.mark.parametrize("token_type", tokens.MADE_OF_TEXT)
def test_the_order_is_blank_unk_tags_symbols_eos(lists, token_type):
    listed = ours(lists, token_type)[2]
    assert listed[:6] == ["<blank>", "<unk>", "[deu]", "[eng]", "[fra]", "[rus]"]
    assert listed[-1] == "<sos/eos>" and len(set(listed)) == len(listed)
    assert (lists / token_type / "nlsyms.txt").read_text() == "[deu]\n[eng]\n[fra]\n[rus]\n"


@pytest.mark.parametrize("token_type", tokens.MADE_OF_TEXT)
def test_training_text_has_no_unknown_token_and_tags_are_whole(lists, token_type):
    tokenizer, to_ids, listed = ours(lists, token_type)
    for text in TEXTS.values():
        assert listed.index("<unk>") not in to_ids(text)
        assert text[:5] in tokenizer(text)


def test_symbols_are_by_frequency_then_code_point():
    assert tokens.by_frequency(tokens.Counter("abbcca" + "dd" + "ccc")) == ["c", "a", "b", "d"]


def test_bpe_has_the_size_asked_for_and_comes_out_the_same_twice(lists, tmp_path):
    listed = tokens.make_token_list(TEXTS, tmp_path, "train/text", "bpe", nbpe=48)
    assert len(listed) == 48  # three of sentencepiece's own go, three of ours come
    assert listed == tokens.read_tokens(lists / "bpe/tokens.txt")
    assert (tmp_path / "bpe.model").read_bytes() == (lists / "bpe/bpe.model").read_bytes()


def test_bpe_gives_the_text_back_unchanged(lists):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(lists / "bpe/bpe.model"))
    for text in ("[fra] l'été sera chaud à paris", "[eng] the cat", "[rus] привет"):
        assert processor.decode_pieces(processor.encode_as_pieces(text)).strip() == text


@pytest.mark.parametrize(("nbpe", "words"), [(5000, "or less"), (10, "or more")])
def test_an_impossible_bpe_size_is_told_with_the_possible_one(tmp_path, nbpe, words):
    with pytest.raises(UserError, match=rf"--nbpe {nbpe} is .* Set --nbpe \d+ {words}") as caught:
        tokens.make_token_list(TEXTS, tmp_path, "train/text", "bpe", nbpe=nbpe)
    possible = int(str(caught.value).split()[-3])
    assert len(tokens.make_token_list(TEXTS, tmp_path, "t", "bpe", nbpe=possible)) == possible


def test_rare_words_are_left_out(tmp_path):
    listed = tokens.make_token_list(TEXTS, tmp_path, "t", "word", word_min_count=2)
    assert listed[2:-1] == ["[deu]", "[eng]", "[fra]", "[rus]", "a", "the"]


def test_extending_keeps_old_ids_and_puts_new_symbols_before_eos(tmp_path):
    old = tokens.make_token_list({"eng_a": "[eng] abc"}, tmp_path / "old", "t")
    new = tokens.make_token_list(
        {"fin_a": "[fin] abä ä"}, tmp_path / "new", "t", init_tokens=tmp_path / "old/tokens.txt"
    )
    assert new[: len(old) - 1] == old[:-1]
    assert new[len(old) - 1 :] == ["[fin]", "ä", "<sos/eos>"]
    assert (tmp_path / "new/nlsyms.txt").read_text() == "[eng]\n[fin]\n"


@pytest.mark.parametrize("special", [["<blank>"], ["<unk>", "<blank>"], ["</s>", "<unk>"]])
def test_another_models_symbols_keep_their_order_behind_the_special_ones(tmp_path, special):
    (tmp_path / "imported.txt").write_text("\n".join(["<space>", "b", "a", *special]) + "\n")
    listed = tokens.make_token_list(
        {"x": "abc"}, tmp_path / "new", "t", lid=False, init_tokens=tmp_path / "imported.txt"
    )
    others = [symbol for symbol in special if symbol == "</s>"]
    assert listed == ["<blank>", "<unk>", "<space>", "b", "a", *others, "c", "<sos/eos>"]
    assert tokens.read_tokens(tmp_path / "new" / "tokens.txt") == listed


def test_bpe_cannot_be_extended(tmp_path):
    with pytest.raises(UserError, match="fixed inventory"):
        tokens.make_token_list(TEXTS, tmp_path, "t", "bpe", init_tokens="old/tokens.txt")


@pytest.mark.parametrize(("lid", "text", "words"), [
    (True, "hello", "no language tag at 'x_1'.*--lid true"),
    (False, "[eng] hello", r"language tag \[eng\] at 'x_1'.*--lid false"),
])  # fmt: skip
def test_tags_and_lid_must_agree(tmp_path, lid, text, words):
    with pytest.raises(UserError, match=words):
        tokens.make_token_list({"x_1": text}, tmp_path, "train/text", lid=lid)


def test_without_lid_there_are_no_tags(tmp_path):
    listed = tokens.make_token_list({"a": "ab a"}, tmp_path, "t", lid=False)
    assert listed == ["<blank>", "<unk>", "a", "<space>", "b", "<sos/eos>"]
    assert (tmp_path / "nlsyms.txt").read_text() == ""


@pytest.mark.parametrize(("content", "words"), [
    ("<blank>\n<unk>\na\na\n<sos/eos>\n", "'a' twice"),
    ("<blank>\n<unk>\n\n<sos/eos>\n", ":3 is empty"),
    ("<unk>\n<blank>\n<sos/eos>\n", "must begin with <blank>"),
    ("<blank>\n<unk>\na\n", "end with <sos/eos>"),
])  # fmt: skip
def test_a_damaged_list_is_refused(tmp_path, content, words):
    path = tmp_path / "tokens.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=words):
        tokens.read_tokens(path)


def test_an_unknown_type_or_a_missing_model_is_refused(tmp_path):
    for args, words in (
        (("phone",), "none of char bpe word"),
        (("bpe",), "--bpemodel"),
        (("bpe", (), tmp_path / "bpe.model"), "bpe.model does not exist"),
    ):
        with pytest.raises(UserError, match=words):
            tokens.build_tokenizer(*args)


def test_the_characters_of_a_piece_are_known_one_by_one():
    symbols = ["<blank>", "<unk>", "[eng]", "▁", "▁the", "<space>", "ab", "[", "<sos/eos>"]
    assert tokens.characters_of_tokens(symbols) == {"[eng]", "t", "h", "e", "a", "b", "["}
