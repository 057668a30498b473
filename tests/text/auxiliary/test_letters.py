"""What keeps its letters is parted into letters with their marks."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.text.auxiliary.letters import letters_of


@pytest.mark.parametrize(
    "text, letters",
    [
        ("ŋa̋ q̃o'o", ["ŋ", "a̋", "q̃", "o", "o"]),
        ("e\u0301", ["é"]),
        ("नमस्ते", ["न", "म", "स्", "ते"]),
        ("می\u200cشود", ["م", "ی", "ش", "و", "د"]),
        ("abc 12", ["a", "b", "c", "1", "2"]),
        ("... '", []),
    ],
)
def test_a_letter_keeps_its_marks_and_the_rest_goes(text, letters):
    assert letters_of(text) == letters


@given(st.text(max_size=20))
def test_every_letter_and_digit_is_in_one_unit_in_its_place(text):
    units = letters_of(text)
    kept = [c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] in "LN"]
    assert [unit[0] for unit in units if unicodedata.category(unit[0])[0] in "LN"] == kept
    assert not any(char.isspace() for unit in units for char in unit)
