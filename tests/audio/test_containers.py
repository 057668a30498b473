"""Whether a container is whole, from its own structure: Matroska, MPEG-TS, ADTS."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio import adts, matroska, mpegts
from tests.sounds import encode, noise


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    files = {"a.mkv": "aac", "a.webm": "libopus", "a.ts": "aac", "a.aac": "aac"}
    rates = {"a.webm": 48000}
    for name, codec in files.items():
        rate = rates.get(name, 16000)
        encode(folder / name, noise(3.0, rate), rate, codec)
    return {name: (folder / name).read_bytes() for name in files}


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_matroska_is_whole_until_an_element_is_no_longer_one(made, name):
    content = made[name]
    assert matroska.is_whole(io.BytesIO(content))
    assert not matroska.is_whole(io.BytesIO(content[:-20]))
    middle = len(content) // 2
    zeroed = content[:middle] + bytes(700) + content[middle + 700 :]
    assert not matroska.is_whole(io.BytesIO(zeroed))
    assert not matroska.is_whole(io.BytesIO(content[:middle] + content[middle + 3 :]))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_judged_without_an_end_or_an_error(content):
    matroska.is_whole(io.BytesIO(bytes.fromhex("1a45dfa380") + content))
    mpegts.is_whole(io.BytesIO(content * 10))
    adts.holes(content * 3)
    adts.holes(b"\xff\xf1" + content * 3)


def test_a_live_matroska_has_clusters_of_unknown_length():
    def element(name, body, length=None):
        size = len(body) if length is None else length
        return bytes.fromhex(name) + (1 << 56 | size).to_bytes(8) + body

    unknown = (1 << 56) - 1
    block = element("a3", b"\x81\0\0\x80sound")
    live = element("1a45dfa3", b"") + element(
        "18538067", element("1f43b675", element("e7", b"\0") + block, unknown) * 2, unknown
    )
    assert matroska.is_whole(io.BytesIO(live))
    assert not matroska.is_whole(io.BytesIO(live + b"\x42\x42\x80"))


def test_a_transport_stream_misses_no_packet(made):
    content = made["a.ts"]
    assert mpegts.is_whole(io.BytesIO(content))
    at = len(content) // 188 // 2 * 188
    assert not mpegts.is_whole(io.BytesIO(content[:at] + content[at + 188 :]))
    assert not mpegts.is_whole(io.BytesIO(content[:at] + bytes(188) + content[at + 188 :]))


def test_holes_between_frames_are_found_and_measured(made):
    content = made["a.aac"]
    assert adts.holes(content) == {}
    frames, at = [], 0
    while at < len(content):
        frames.append(at)
        at += adts._frame(content, at)
    start, end = frames[20], frames[23]
    assert adts.holes(content[:start] + bytes(end - start) + content[end:]) == {start: end - start}
    junk = b"\xff\xf1junk that begins like a frame"
    twice = content[: frames[5]] + junk + content[frames[5] : frames[9]] + junk
    found = adts.holes(twice + content[frames[9] :])
    assert found == {frames[5]: len(junk), frames[9]: len(junk)}
