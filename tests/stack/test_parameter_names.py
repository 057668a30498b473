"""An entry of freeze_param means what ESPnet means by it, and patterns beside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.stack.parameter_names import matches, nothing_matches, parts

LAYER = "encoder.encoders.encoder.layers.3.fc1.weight"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("encoder", True),
        ("encoder.encoders.encoder.layers.3", True),
        (LAYER, True),
        ("encoder.enc", False),  # a prefix ends at a dot
        ("encoder.encoders.encoder.layers.[0-5].*", True),
        ("encoder.encoders.encoder.layers.[0-5]", True),
        ("encoder.encoders.encoder.layers.[4-5].*", False),
        ("*.fc1", True),
        ("*.weight", True),
        ("*fc", False),
        ("ENCODER", False),
    ],
)
def test_an_entry_means_what_it_matches(entry, expected):
    assert matches(LAYER, entry) == expected


WORDS = st.lists(st.sampled_from(["a", "b", "ab", "0"]), min_size=1, max_size=4).map(".".join)


@given(WORDS, WORDS)
def test_without_wildcards_it_is_espnets_rule(name, entry):
    assert matches(name, entry) == (name.startswith(entry + ".") or name == entry)


def test_the_refusal_names_the_nearest_part():
    message = nothing_matches("encoder.encoders.encoder.layer.3", [LAYER])
    assert "Did you mean 'encoder.encoders.encoder.layers.3'?" in message
    assert parts(["a.b", "a.c"]) == ["a", "a.b", "a.c"]
