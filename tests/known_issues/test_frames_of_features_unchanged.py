"""A stack whose data hold features and whose encoder changes nothing had no step to name."""

from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.table import describe_frame_shift


def test_the_frame_shift_of_an_unchanged_input_is_described():
    counter = frame_counter({"input_size": 80, "encoder": "identity"})
    assert "encoder identity" in describe_frame_shift(counter)
