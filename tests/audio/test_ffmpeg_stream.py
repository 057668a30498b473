import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.ffmpeg_stream import AudioStream, _frame_to_channels, raw_format
from tests.sounds import encode, noise


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = encode(tmp_path_factory.mktemp("g") / "a.g722", noise(1.0), 16000, "g722", "g722")
    stream = AudioStream(str(path), str(path), "")
    whole = stream.read(0, None)
    stream.close()
    return str(path), whole


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.tuples(st.integers(0, 17000), st.integers(0, 17000)), max_size=6))
def test_any_order_of_reads_gives_the_same_samples(recording, cuts):
    path, whole = recording
    stream = AudioStream(path, path, "")
    for first, length in cuts:
        got = stream.read(first, first + length)
        np.testing.assert_array_equal(got, whole[first : first + length])
    stream.close()


def test_reading_forwards_keeps_only_what_is_needed(recording):
    path, _ = recording
    stream = AudioStream(path, path, "")
    stream.read(100, 200)
    stream.read(15000, 15010)
    assert len(stream._held) <= 1000
    stream.close()


@pytest.mark.parametrize("sample_format", ["u8", "s16", "s32", "flt", "dbl"])
@pytest.mark.parametrize("planar", ["", "p"])
def test_every_sample_format_becomes_the_same_float(sample_format, planar):
    import av

    stereo = np.array([[0.5, -0.25, 0.0], [0.0, -0.25, 0.5]])
    dtype, scale = {
        "u8": (np.uint8, 128), "s16": (np.int16, 2**15), "s32": (np.int32, 2**31),
        "flt": (np.float32, 1), "dbl": (np.float64, 1),
    }[sample_format]  # fmt: skip
    values = stereo * scale + (128 if sample_format == "u8" else 0)
    array = values if planar else values.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(array.astype(dtype)), format=sample_format + planar, layout="stereo"
    )
    channels = _frame_to_channels(frame)
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels, stereo, atol=1e-6)


def test_raw_formats_go_by_the_name():
    assert raw_format("a/b.G722") == "g722" and raw_format("a.wav") is None
