"""Characters that are invisible by design stayed as words and became tokens: the variation selector
of an emoji, a combining grapheme joiner, a Hangul filler, the enclosing square of a keycap."""

import sys
import unicodedata

import pytest

from asr_dro_plugin.text.characters import KEPT, characters_of, judge
from asr_dro_plugin.text.normalizers import NORMALIZERS, lower_no_punct, upper_no_punct
from asr_dro_plugin.text.rules import TextRules
from asr_dro_plugin.text.steps import is_invisible

EVERY_CHARACTER = [
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(char) not in ("Cs", "Co", "Cn") or is_invisible(char)
]
RULES = TextRules({"punctuation": "all", "case": "lower"}, "x.yaml")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("wow ☝️ yes ❤︎", "wow yes"),
        ("press 1️⃣ or #️⃣ now", "press 1 or now"),
        ("be\u034fta", "beta"),
        ("\u3164 안녕 \uffa0 \u115f\u1160", "안녕"),
        ("ᠮᠣᠩ\u180bᠭᠣᠯ", "ᠮᠣᠩᠭᠣᠯ"),
        ("👩\u200d👧 🏴\U000e0067\U000e007f hi \U000e0100", "hi"),
        ("А\u0488б", "аб"),
    ],
)
def test_what_nobody_sees_is_no_word(raw, expected):
    assert lower_no_punct(raw) == RULES(raw) == expected


@pytest.mark.parametrize("normalize", [lower_no_punct, upper_no_punct, RULES])
@pytest.mark.parametrize("around", ["{} ", "a {} b ", "a{}b "])
def test_of_no_character_is_anything_left_that_nobody_sees(normalize, around):
    once = normalize("".join(map(around.format, EVERY_CHARACTER)), "")
    left = {
        f"U+{ord(c):04X}" for c in set(once) if is_invisible(c) or unicodedata.category(c) == "Me"
    }
    assert not left
    assert normalize(once, "") == once


def test_what_a_script_is_written_with_is_not_invisible():
    """Joiners, vowel signs, viramas, points and the dots of letters belong to words."""
    for word in ("می\u200cخواهم", "क्\u200dष", "हिन्दी", "กรุงเทพฯ"[:-1], "שָׁלוֹם", "مَرْحَبًا", "ខ្មែរ"):
        assert unicodedata.normalize("NFC", word) == lower_no_punct(word)


def test_with_a_rule_that_leaves_them_they_are_told():
    for char in "\ufe0f\u034f\u3164\u20e3":
        found = characters_of({"u1": NORMALIZERS["nfc"](f"a{char}b", "")})
        verdicts = {row.char: row.verdict for row in judge(found)}
        assert verdicts[char] != KEPT and verdicts["a"] == KEPT
