"""Pages of Ogg: what is whole, what is damaged, what is not there."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio import ogg_pages
from tests.sounds import noise


def ogg(seconds=4.0, seed=0):
    out = io.BytesIO()
    soundfile.write(out, noise(seconds, seed=seed), 16000, format="OGG", subtype="VORBIS")
    return out.getvalue()


CONTENT = ogg()
STARTS = [n for n in range(len(CONTENT)) if CONTENT.startswith(b"OggS", n)]


def walk(content):
    return ogg_pages.walk(io.BytesIO(content))


def test_a_whole_file_is_one_stream_of_whole_pages():
    assert walk(CONTENT) == ogg_pages.OggPages(len(CONTENT), 0, 0, 0, 1)
    assert walk(CONTENT).is_whole and walk(b"RIFF") is None


def test_the_checksum_is_oggs():
    """Bit by bit, as RFC 3533 has it: polynomial 0x04c11db7, nothing mirrored."""
    page = CONTENT[: STARTS[1]]
    register = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
    assert ogg_pages.checksum(page) == register == int.from_bytes(page[22:26], "little")


@settings(deadline=None, max_examples=60)
@given(at=st.integers(4, len(CONTENT) - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_is_seen(at, bit):
    content = bytearray(CONTENT)
    content[at] ^= 1 << bit
    found = walk(bytes(content))
    page = max(start for start in STARTS if start <= at)
    after = next((start for start in [*STARTS, len(CONTENT)] if start > page), None)
    assert not found.is_whole and found.num_damaged == after - page


@settings(deadline=None, max_examples=20)
@given(junk=st.binary(min_size=1, max_size=99), where=st.integers(1, len(STARTS) - 1))
def test_bytes_between_pages_are_counted(junk, where):
    found = walk(CONTENT[: STARTS[where]] + junk + CONTENT[STARTS[where] :])
    assert (found.num_damaged, found.num_missing) == (len(junk), 0)


@pytest.mark.parametrize("number", [3, 4])
def test_a_page_that_is_not_there_is_missed(number):
    found = walk(CONTENT[: STARTS[number]] + CONTENT[STARTS[number + 1] :])
    assert (found.num_damaged, found.num_missing, found.is_whole) == (0, 1, False)


def test_streams_one_behind_the_other_are_counted():
    assert walk(CONTENT + ogg(1.0, seed=1) + ogg(0.5, seed=2)).num_streams == 3


def test_what_is_cut_off_lies_behind_the_last_page():
    cut = (STARTS[-1] + len(CONTENT)) // 2
    found = walk(CONTENT[:cut])
    assert found.num_behind == found.num_damaged == cut - STARTS[-1]
    assert np.isclose(found.damaged_share, found.num_damaged / cut)


def test_a_file_of_many_windows_is_walked_in_little_memory(monkeypatch):
    content = CONTENT + b"junk" + CONTENT * 3 + b"OggS"
    wanted = walk(content)
    monkeypatch.setattr(ogg_pages, "WINDOW", 1 << 10)
    assert walk(content) == wanted and wanted.num_damaged == 8


def test_what_only_looks_like_pages_does_not_take_for_ever(monkeypatch):
    monkeypatch.setattr(ogg_pages, "IN_VAIN", 1 << 16)
    found = walk(CONTENT + (b"OggS" + bytes(22) + b"\xff" + b"\xff" * 4) * 4000)
    assert found.num_damaged == found.num_bytes - len(CONTENT)
