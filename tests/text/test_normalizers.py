"""asr_dro_plugin/text/normalizers.py: normalisers and the language tag."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import (
    NORMALIZERS,
    add_tag,
    get_normalizer,
    lower_no_punct,
    split_tag,
    upper_no_punct,
)

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# letters, marks and what normalisers must tell from them, so that rare neighbours meet often
DENSE_TEXT = st.text(
    st.sampled_from("aEéİIıßΣςǆ'’-_.,!…·()1٣ \u0301\u0327\u0345\u093f\u094d\u200c\u200d\u200b日한"),
    max_size=20,
)
LANGS = st.sampled_from(["", "eng", "tur"])


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
@given(text=ANY_TEXT | DENSE_TEXT, lang=LANGS)
@example(text="e.\u0301", lang="")
@example(text="a'\u200d b", lang="")
def test_normalising_twice_is_normalising_once(name, text, lang):
    once = NORMALIZERS[name](text, lang)
    assert NORMALIZERS[name](once, lang) == once


@given(text=DENSE_TEXT)
def test_a_combining_mark_is_never_lost(text):
    def marks(string):
        decomposed = unicodedata.normalize(
            "NFD", unicodedata.normalize("NFC", string).replace("İ", "i")
        )
        return sum(unicodedata.category(char).startswith("M") for char in decomposed)

    assert marks(lower_no_punct(text, "")) >= marks(text)


@given(text=ANY_TEXT, name=st.sampled_from(sorted(NORMALIZERS)))
def test_a_text_with_a_letter_is_never_emptied(text, name):
    if any(unicodedata.category(char)[0] in "LN" for char in text):
        assert NORMALIZERS[name](text, "")


@given(text=ANY_TEXT)
def test_spaces_are_single_and_inside(text):
    out = lower_no_punct(text, "")
    assert out == " ".join(out.split())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Don’t  STOP!", "don't stop"),
        ("'Hello,' he said", "hello he said"),
        ("l'eau d’Évian", "l'eau d'évian"),
        ("party's-line – well/known_thing", "party's line well known thing"),
        ("one,two;three…four", "one two three four"),
        ("The U.S. at 10:30", "the us at 1030"),
        ("¿Qué?  ¡Sí!", "qué sí"),
        ("cafe\u0301", "café"),
        ("你好，世界。", "你好世界"),
        ("ሰላም፡ለዓለም።", "ሰላም ለዓለም"),
        ("हिन्दी।", "हिन्दी"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\u00adb \u200bc\ufeff", "ab c"),
        ("ΟΔΟΣ", "οδος".replace("ος", "ος")),
        ("...", ""),
    ],
)
def test_lower_no_punct_keeps_words_and_drops_punctuation(raw, expected):
    assert lower_no_punct(raw, "") == expected


def test_turkish_keeps_its_two_letters_i():
    assert lower_no_punct("IĞDIR İzmir", "tur") == "ığdır izmir"
    assert upper_no_punct("ığdır izmir", "tur") == "IĞDIR İZMİR"
    assert lower_no_punct("IDAHO", "eng") == "idaho"


def test_an_unknown_normaliser_is_refused_with_a_suggestion():
    with pytest.raises(UserError, match="Did you mean 'lower_no_punct'"):
        get_normalizer("lower_nopunct")


@given(lang=st.from_regex("[a-z]{3}", fullmatch=True), text=ANY_TEXT)
def test_a_tag_that_was_added_comes_off_again(lang, text):
    text = " ".join(text.split())
    assert split_tag(add_tag(lang, text)) == (lang, text)


@pytest.mark.parametrize("text", ["hello", "[noise] hello", "[EN] x", "x [eng] y", "[eng]x", ""])
def test_only_an_iso_code_in_brackets_at_the_start_is_a_tag(text):
    assert split_tag(text) == (None, text)
