"""A grave, an acute or a prime between letters is an apostrophe in the text of many who have no
better key: п`ять, l´eau, oʻ as o`, but it vanished and joined or changed the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.text.normalizers import lower_no_punct, upper_no_punct
from asr_dro_plugin.text.rules import TextRules
from asr_dro_plugin.text.steps import TYPED_APOSTROPHES

RULES = TextRules({"punctuation": "all", "case": "lower"}, "x.yaml")
NFKC = TextRules({"punctuation": "all", "case": "lower", "unicode": "nfkc"}, "x.yaml")
LETTERS = st.text(st.sampled_from("abпьяéй\u0301oʻष"), min_size=1, max_size=4)
WORDS = LETTERS.filter(lambda word: word[0] != "\u0301")


@pytest.mark.parametrize(
    ("raw", "lang", "expected"),
    [
        ("п`ять", "ukr", "п'ять"),
        ("М′ята об´єкт", "ukr", "м'ята об'єкт"),
        ("L´eau d`Évian", "fra", "l'eau d'évian"),
        ("O`zbekiston g´alaba", "uzb", "o'zbekiston g'alaba"),
        ("hayʼat oʻzbek", "uzb", "hayʼat oʻzbek"),
        ("rock‛n‛roll don＇t it｀s", "eng", "rock'n'roll don't it's"),
        ("e\u0323\u0301´a", "", "ẹ\u0301'a"),
    ],
)
def test_between_letters_it_is_an_apostrophe(raw, lang, expected):
    assert lower_no_punct(raw, lang) == RULES(raw, lang) == NFKC(raw, lang) == expected
    assert upper_no_punct(raw, lang) == expected.upper()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("`code` and ``more``", "code and more"), ("6′2″ tall", "62 tall"), ("a ` b ´ c", "a b c"),
     ("x´´y", "xy"), ("é´ !´", "é")],
)  # fmt: skip
def test_elsewhere_it_goes_as_before(raw, expected):
    assert lower_no_punct(raw) == RULES(raw) == NFKC(raw) == expected


@given(WORDS, st.sampled_from(sorted(TYPED_APOSTROPHES)), WORDS)
def test_whatever_is_typed_the_word_is_the_same(before, typed, after):
    for normalize in (lower_no_punct, upper_no_punct, RULES, NFKC):
        once = normalize(f"{before}{typed}{after}", "")
        assert once == normalize(f"{before}'{after}", "") == normalize(once, "")


def test_a_rule_that_names_the_mark_has_its_way():
    kept = TextRules({"punctuation": {"marks": "all", "keep": "`"}, "map": {"´": "z"}}, "x.yaml")
    assert kept("a`b c´d") == "a`b czd"
    assert TextRules({"punctuation": {"marks": "all", "space": "`"}}, "x.yaml")("a`b") == "a b"
    assert TextRules({"punctuation": "ascii"}, "x.yaml")("a`b c´d") == "ab c´d"


def test_a_spacing_accent_leaves_no_loose_mark_under_nfkc():
    """NFKC makes of ´ a space and a combining accent, which then stood alone."""
    assert TextRules({"unicode": "nfkc"}, "x.yaml")("a ´ b ﬁ") == "a ´ b fi"
