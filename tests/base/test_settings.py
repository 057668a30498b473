"""A value of another kind, or out of its range, is refused in one line that says what would do."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.base.settings import (
    KIND_WORDS,
    check_kind,
    check_number,
    check_word,
    kind_of,
    kinds_of,
)
from asr_dro_plugin.errors import UserError

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers()),
    st.sampled_from([np.float32(1.5), np.int64(3), "1e-4", object()]),
)  # fmt: skip


def refusal(check, *arguments, **keywords) -> str:
    with pytest.raises(UserError) as caught:
        check("x.yaml: key", *arguments, **keywords)
    message = str(caught.value)
    assert message.startswith("x.yaml: key") and "\n" not in message
    return message.removeprefix("x.yaml: key ")


@given(VALUES, st.sets(st.sampled_from([*KIND_WORDS, "none"])))
def test_a_value_passes_by_its_kind_and_by_those_it_will_do_for(value, kinds):
    kind = kind_of(value)
    fits = kind in kinds or (kind == "int" and "float" in kinds)
    fits = fits or (kind in ("int", "float", "str") and "size" in kinds)
    try:
        check_kind("key", value, kinds)
    except UserError:
        assert not fits
    else:
        assert fits


@given(st.one_of(st.integers(-9, 9), st.floats(), st.booleans(), st.sampled_from([np.int32(4)])))
def test_a_number_in_range_comes_back_as_it_was(value):
    is_number = not isinstance(value, bool) and math.isfinite(value)
    if is_number and 0 <= value < 5:
        assert check_number("key", value, least=0, below=5) is value
    else:
        refusal(check_number, value, least=0, below=5)


def test_what_would_do_is_said():
    assert refusal(check_kind, "abc", {"int"}) == "must be a whole number, not 'abc'."
    assert refusal(check_kind, True, {"int", "none"}) == "must be a whole number or none, not True."
    assert refusal(check_kind, "1e-4", {"float"}).endswith("as text. Write 1.0e-4.")
    assert refusal(check_kind, "1.e6", {"any"}).endswith("Write 1.e+6.")
    assert refusal(check_number, 7, above=0, most=5) == "must be above 0 and at most 5, not 7."
    assert refusal(check_number, math.inf) == "must be a finite number, not inf."
    assert refusal(check_number, 2.0, whole=True) == "must be a whole number, not 2.0."
    words = refusal(check_word, "hum", ("sum", "mean"))
    assert words == "is 'hum', which is unknown. Did you mean 'sum'? Legal: sum, mean."
    check_number("key", math.inf, infinite=True, above=0)


def test_an_annotation_says_kinds():
    assert kinds_of(int | None) == {"int", "none"}
    assert kinds_of(list[int]) == kinds_of(tuple) == {"list"}
    assert kinds_of("Sequence[int] | str | None") == {"list", "str", "none"}
    assert kinds_of(float | np.ndarray) == kinds_of("float | np.ndarray") == {"float", "any"}
