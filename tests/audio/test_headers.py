"""What an uncompressed file's header declares, and what is there."""

import io

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.headers import UNKNOWN, data_size
from tests.sounds import noise

SUBTYPES = {"WAV": "PCM_16", "RF64": "PCM_24", "W64": "FLOAT", "CAF": "PCM_16", "AU": "PCM_16",
            "NIST": "PCM_16", "WAVEX": "PCM_16", "VOC": "PCM_16", "AVR": "PCM_16"}  # fmt: skip
WIDTHS = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}


def written(container, samples, channels=1):
    out = io.BytesIO()
    subtype = SUBTYPES[container]
    soundfile.write(out, samples, 16000, format=container, subtype=subtype)
    return out.getvalue(), WIDTHS[subtype] * channels


@settings(deadline=None, max_examples=40)
@given(container=st.sampled_from(sorted(SUBTYPES)), number=st.integers(3, 400))
def test_declared_and_present_are_the_bytes_of_the_samples(container, number):
    content, width = written(container, noise(number / 16000, channels=2), 2)
    found = data_size(io.BytesIO(content))
    assert found.declared == number * width and found.present - found.declared in (0, 1)
    cut = data_size(io.BytesIO(content[:-4]))
    lost = 4 - (container == "VOC")  # which ends in a byte of its own
    assert cut.declared == found.declared and cut.present == found.present - lost


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([b"RIFF", b"RF64", b".snd", b"caff", b"NIST_1A", b"riff.\x91\xcf\x11",
                        b"Creative Voice File\x1a", b"2BIT"]),
       st.binary(max_size=80))  # fmt: skip
def test_any_bytes_behind_a_known_word_are_read_without_an_error(word, content):
    data_size(io.BytesIO(word + content))


def test_an_avr_may_count_samples_of_both_channels():
    content = bytearray(written("AVR", noise(0.1, channels=2), 2)[0])
    content[26:30] = (2 * int.from_bytes(content[26:30], "big")).to_bytes(4, "big")
    found = data_size(io.BytesIO(content))
    assert found.declared == found.present == 2 * 2 * 1600


def test_a_streamed_size_is_unknown_and_other_formats_are_not_asked():
    content = bytearray(written("WAV", noise(0.1))[0])
    at = content.index(b"data") + 4
    for size in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"):
        content[at : at + 4] = size
        assert data_size(io.BytesIO(content)).declared == UNKNOWN
    assert data_size(io.BytesIO(b"fLaC")) is None and data_size(io.BytesIO(b"")) is None


@pytest.mark.parametrize("tail", [b"LIST\x04\0\0\0INFO", b"id3 \x03\0\0\0abc\0"])
def test_chunks_behind_the_samples_are_no_samples(tail):
    content = written("WAV", noise(0.1))[0]
    assert data_size(io.BytesIO(content + tail)).behind == 0
    assert data_size(io.BytesIO(content + b"\x01\x02" * 50)).behind == 100
