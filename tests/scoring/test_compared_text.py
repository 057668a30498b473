"""What is compared of a transcript: its tag parted from it, unknown symbols as characters."""

import pytest

from asr_dro_plugin.scoring.error_rates import mark_unknown, normalized, part_tag
from asr_dro_plugin.text.normalizers import NORMALIZERS


@pytest.mark.parametrize(
    ("text", "tag", "words"),
    [
        ("[eng] ab", "eng", "ab"),
        ("[eng]ab", "eng", "ab"),
        ("ab [eng]", None, "ab"),
        ("[eng][deu] ab", "eng", "ab"),
        ("[engl] ab", None, "[engl] ab"),
        ("ab", None, "ab"),
        ("", None, ""),
    ],
)
def test_tags_are_parted_from_the_text(text, tag, words):
    assert part_tag(text) == (tag, words)


def test_an_unknown_symbol_becomes_one_character():
    assert len(mark_unknown("a<unk>b⁇")) == 4
    assert mark_unknown("a < b") == "a < b"


@pytest.mark.parametrize(
    ("text", "lang", "compared"),
    [
        ("Plain  text.", "eng", "plain text"),
        ("I I", "tur", "ı ı"),
        ("Où, l’eau [fra] ?", "fra", "où l'eau"),
        ("[eng] it's 'so", "eng", "it's so"),
    ],
)
def test_a_text_is_normalised_in_its_language_without_any_tag(text, lang, compared):
    assert normalized(text, lang, NORMALIZERS["lower_no_punct"]) == compared
