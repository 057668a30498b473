"""The wire between the front and its workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.serving.protocol import Done, Failed, Job, Partial, decode, encode

TEXT = st.text(max_size=20)
SECONDS = st.floats(0, 1e6)
MESSAGES = st.one_of(
    st.builds(Job, TEXT, TEXT, st.none() | TEXT | st.lists(TEXT, max_size=3), st.booleans()),
    st.builds(Partial, SECONDS, st.none() | SECONDS, TEXT),
    st.builds(Done, st.dictionaries(TEXT, TEXT, max_size=3), SECONDS, TEXT),
    st.builds(Failed, st.integers(400, 599), TEXT, TEXT, st.none() | TEXT),
)


@given(MESSAGES)
def test_every_message_is_one_line_and_comes_back_as_it_was(message):
    line = encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line) == message


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"type": "job"}', b'{"type": "exec"}'])
def test_a_line_that_is_no_message_is_a_value_error(line):
    with pytest.raises(ValueError):
        decode(line)
