"""text/casing.py: the case of a vocabulary."""

import pytest

from asr_dro_plugin.text.casing import casing_of
from asr_dro_plugin.text.normalizers import get_normalizer
from asr_dro_plugin.text.tokens import build_tokenizer, make_list, token_ids


@pytest.mark.parametrize(
    ("tokens", "case"),
    [
        (["<pad>", "<unk>", "|", "E", "T", "'"], "upper"),
        (["<blank>", "[eng]", "a", "ž", "<space>"], "lower"),
        (["[PAD]", "[UNK]", "a", "b"], "lower"),
        (["A", "B", "ß"], "upper"),
        (["a", "A"], "mixed"),
        (["日", "ह", "<unk>"], "none"),
        (["▁the", "▁a", "ing"], "lower"),
    ],
)
def test_a_vocabulary_has_a_case(tokens, case):
    assert casing_of(tokens) == case


@pytest.mark.parametrize(
    ("text", "norm", "tokens"),
    [("don't stop", "upper_no_punct", "DONTSP'"), ("DON'T STOP", "lower_no_punct", "dontsp'")],
)
def test_in_the_vocabularys_case_no_label_is_unknown_and_the_text_comes_back(text, norm, tokens):
    """The rule `case: vocabulary` gives is the named one's."""
    vocabulary = make_list([], [*tokens, "<space>"])
    to_ids = token_ids(build_tokenizer("char"), vocabulary)
    unk = vocabulary.index("<unk>")
    assert unk in to_ids(text)
    cased = get_normalizer(norm)(text)
    ids = to_ids(cased)
    assert unk not in ids
    assert get_normalizer(f"{{case: {casing_of(vocabulary)}}}")(text) == cased
    spelled = "".join(vocabulary[index] for index in ids).replace("<space>", " ")
    assert spelled == cased and getattr(spelled, "upper" if text.isupper() else "lower")() == text
