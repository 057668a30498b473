"""The capital of i was Turkish for ``aze`` and English for ``azj``, the code of the same text; and
an İ in any other language left a combining dot behind, which became a token."""

import sys
import unicodedata
from pathlib import Path

import pytest

from asr_dro_plugin.text.languages import read_languages
from asr_dro_plugin.text.normalizers import lower_no_punct, upper_no_punct
from asr_dro_plugin.text.rules import TextRules
from asr_dro_plugin.text.steps import DOTTED_I, is_mark
from asr_dro_plugin.text.whisper_languages import WHISPER_LANGUAGES

LANGUAGES = read_languages(Path(__file__).resolve().parents[2] / "local/languages.tsv")
EVERY_LETTER = [
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(char)[0] == "L"
    and not any(map(is_mark, unicodedata.normalize("NFC", char)))  # a letter and its mark, for good
]
RULES = TextRules({"punctuation": "all", "case": "lower"}, "x.yaml")


@pytest.mark.parametrize("lang", ["tur", "aze", "azj", "azb", "crh", "gag"])
def test_every_code_of_a_language_with_a_dotless_i_has_it(lang):
    assert lower_no_punct("IŞIQ İki", lang) == RULES("IŞIQ İki", lang) == "ışıq iki"
    assert upper_no_punct("ışıq iki", lang) == "IŞIQ İKİ"


@pytest.mark.parametrize("isos", WHISPER_LANGUAGES.values(), ids=WHISPER_LANGUAGES)
def test_a_macrolanguage_and_its_members_have_one_case(isos):
    assert len({iso in DOTTED_I for iso in isos}) == 1


@pytest.mark.parametrize("raw", ["İstanbul", "I\u0307stanbul", "iSTANBUL", "İSTANBUL"])
@pytest.mark.parametrize("lang", ["eng", "tur", ""])
def test_a_capital_i_with_a_dot_is_an_i(raw, lang):
    for rule in ({}, {"unicode": "none"}, {"unicode": "nfkc"}):
        normalize = TextRules({"case": "lower", **rule}, "x.yaml")
        assert normalize(raw.replace("I\u0307", "İ"), lang) == normalize(raw, lang)
        assert normalize(raw, lang)[:2] == "is"
    assert lower_no_punct(raw.title(), "eng") == "istanbul"


@pytest.mark.parametrize("lang", sorted({*LANGUAGES, *DOTTED_I, ""}))
def test_no_letter_gets_a_loose_mark_in_lower_case_in_any_language(lang):
    some = EVERY_LETTER if lang in ("", "eng", "tur", "aze") else "AÉİIıiǅßΣÏŊꞋ"
    found = lower_no_punct(" ".join(some), lang)
    assert not {f"U+{ord(char):04X}" for char in set(found) if is_mark(char)}
    assert lower_no_punct(found, lang) == found


def test_in_upper_case_only_letters_without_a_capital_of_their_own_keep_their_mark():
    assert upper_no_punct("πρωτεΐνη ταΰγετος", "ell") == "ΠΡΩΤΕΪΝΗ ΤΑΫΓΕΤΟΣ"
    marked = [c for c in EVERY_LETTER if any(map(is_mark, upper_no_punct(c, "")))]
    assert "".join(marked) == "ǰẖẗẘẙ"  # J̌ H̱ T̈ W̊ Y̊ are how these are written
    once = upper_no_punct(" ".join(EVERY_LETTER), "")
    assert upper_no_punct(once, "") == once
