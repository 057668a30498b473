"""Rules whose second pass changed the text were taken: a space that a later step made and another
dropped, an apostrophe or a letter that a later step left and the map or a set would change."""

import logging
import sys
import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.rules import TextRules

# Little else than what one step makes and another takes.
CHARS = st.sampled_from(" '’-\t1aAeEéÉ\u0301")
SETS = st.text(CHARS, max_size=3)
MARKS = st.sampled_from(["none", "ascii", "all"])
RULES = st.fixed_dictionaries(
    {"punctuation": st.fixed_dictionaries({"marks": MARKS, "drop": SETS, "space": SETS})},
    optional={
        "unicode": st.sampled_from(["none", "nfc", "nfkc"]),
        "case": st.sampled_from(["keep", "lower", "upper"]),
        "map": st.dictionaries(CHARS, st.sampled_from(["x", "", " ", "e", "'", "a b"]), max_size=2),
        "strip_marks": st.sampled_from(["none", "all", "\u0301"]),
        "keep": st.sampled_from(["a-z", "a-z'", "Ae'-"]),
        "others": st.sampled_from(["report", "drop", "space"]),
    },
)
EVERY_CHARACTER = [
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(char) not in ("Cs", "Co", "Cn")
]


def rules(content) -> TextRules:
    logging.disable(logging.WARNING)
    try:
        return TextRules(content, "x.yaml")
    finally:
        logging.disable(logging.NOTSET)


@settings(max_examples=500, deadline=None)
@given(RULES, st.lists(st.text(CHARS, max_size=8), min_size=1, max_size=8))
@example({"punctuation": {"space": "'", "drop": " "}}, ["a'b"])
@example({"punctuation": {"drop": " "}, "keep": "a-z", "others": "space"}, ["a1b"])
@example({"punctuation": {"marks": "all", "drop": " "}}, ["a-b"])
@example({"punctuation": {"drop": " "}}, ["a\tb"])
@example({"map": {" ": "x"}}, ["a\tb"])
@example({"punctuation": {"marks": "all", "drop": "'"}}, ["a’b"])
@example({"punctuation": {"marks": "all"}, "map": {"'": "x"}}, ["a’b"])
@example({"map": {"e": "x"}, "strip_marks": "all"}, ["é"])
def test_a_rule_is_refused_or_its_second_pass_changes_nothing(content, texts):
    try:
        normalize = rules(content)
    except UserError as error:
        assert "\n" not in str(error)
        assume(False)
    for text in texts:
        once = normalize(text)
        assert normalize(once) == once


@pytest.mark.parametrize(
    "content",
    [
        {"case": "lower", "strip_marks": "all"},
        {"case": "upper", "strip_marks": "\u0301\u0327\u0345", "unicode": "nfkc"},
        {"unicode": "none", "strip_marks": "all", "punctuation": "all", "map": {"e": "i"}},
        {"case": "lower", "punctuation": "ascii", "keep": "a-z", "others": "space"},
    ],
)
def test_no_character_is_changed_by_a_second_pass(content):
    normalize = rules(content)
    for char in EVERY_CHARACTER:
        once = normalize(char)
        assert normalize(once) == once, f"U+{ord(char):04X}"


def test_what_a_later_step_leaves_goes_through_the_earlier_ones_too():
    assert rules({"punctuation": {"marks": "all", "drop": "'"}})("don’t") == "dont"
    assert rules({"map": {"e": "i"}, "strip_marks": "all"})("née") == "nii"
    assert rules({"punctuation": {"space": "'", "drop": " "}})("a'b\tc d") == "abcd"
    assert rules({"map": {" ": "_"}})("a\tb") == "a_b"
