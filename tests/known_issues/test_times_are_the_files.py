"""Containers with time stamps: a pause without packets, sound that begins late, jitter.

Frames were put one behind the other, so that all that came after a gap had times that were too
early, with exit code 0.
"""

import struct

import numpy as np
import pytest

from asr_dro_plugin.audio import SAMPLE_RATE, files
from asr_dro_plugin.audio.read_ahead import Location, load
from tests.sounds import mux, tone

CONTAINERS = [
    ("a.mkv", "aac", 16000), ("a.mkv", "pcm_s16le", 16000), ("a.mp4", "aac", 16000),
    ("a.webm", "libopus", 48000), ("a.mkv", "flac", 16000),
]  # fmt: skip


def sounding(samples, rate=SAMPLE_RATE):
    """(start, end) in seconds of each stretch of tone."""
    loud = np.flatnonzero(np.abs(samples) > 0.05) / rate
    cuts = np.flatnonzero(np.diff(loud) > 0.3)
    return list(zip(loud[[0, *(cuts + 1)]], loud[[*cuts, -1]], strict=True))


@pytest.mark.parametrize(("name", "codec", "rate"), [*CONTAINERS, ("a.ts", "aac", 16000)])
def test_a_jump_of_five_seconds_is_five_seconds_of_silence(tmp_path, name, codec, rate, caplog):
    path = mux(tmp_path / name, [(0.0, tone(1, rate)), (6.0, tone(1, rate))], rate, codec)
    [(_, end), (start, last)] = sounding(load(Location("u", str(path))).samples)
    assert (end, start, last) == pytest.approx((1.0, 6.0, 7.0), abs=0.1)
    assert "1 gaps in its time stamps" in caplog.text


@pytest.mark.parametrize(("name", "codec", "rate"), CONTAINERS)
def test_sound_that_begins_three_seconds_late_is_late(tmp_path, name, codec, rate):
    path = mux(tmp_path / name, [(3.0, tone(1, rate))], rate, codec)
    [(start, end)] = sounding(load(Location("u", str(path))).samples)
    assert (start, end) == pytest.approx((3.0, 4.0), abs=0.08)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_sound_that_begins_after_the_picture_is_late(tmp_path, name):
    path = mux(tmp_path / name, [(3.0, tone(1, 16000))], 16000, "aac", picture=True)
    [(start, _)] = sounding(load(Location("u", str(path))).samples)
    assert start == pytest.approx(3.0, abs=0.08)


def test_the_clock_of_a_broadcast_is_not_the_files_time(tmp_path):
    path = mux(tmp_path / "a.ts", [(20000.0, tone(1, 16000))], 16000, "aac")
    assert sounding(load(Location("u", str(path))).samples)[0][0] == pytest.approx(0.0, abs=0.08)
    path = mux(tmp_path / "a.mkv", [(20000.0, tone(1, 16000))], 16000, "aac")
    assert sounding(load(Location("u", str(path))).samples)[0][0] == pytest.approx(0.0, abs=0.08)


@pytest.mark.parametrize(("name", "codec", "rate"), CONTAINERS[:4])
def test_jitter_is_no_gap(tmp_path, name, codec, rate):
    steady = mux(tmp_path / f"s{name}", [(0.0, tone(4, rate))], rate, codec)
    shaken = mux(tmp_path / f"j{name}", [(0.0, tone(4, rate))], rate, codec, jitter=0.008)
    first, second = files.read(steady)[0], files.read(shaken)[0]
    size = min(len(first), len(second))
    assert abs(len(first) - len(second)) <= 0.03 * rate
    np.testing.assert_allclose(second[:size], first[:size], atol=1e-3)


def test_a_clock_that_runs_slow_adds_up_to_no_error(tmp_path):
    """Half a per cent: stamps of 60 s for each 59.7 s of samples."""
    parts = [(n * 1.005, tone(1, 16000)) for n in range(30)]
    path = mux(tmp_path / "a.mkv", [(n, x[: 15 * 1024]) for n, x in parts], 16000, "pcm_s16le")
    samples, rate = files.read(path)
    assert abs(len(samples) / rate - (29 * 1.005 + 15 * 1024 / 16000)) < 0.11


def test_a_piece_is_where_its_time_says(tmp_path):
    path = mux(tmp_path / "a.mkv", [(0.0, tone(1, 16000)), (6.0, tone(1, 16000))], 16000, "aac")
    assert not np.abs(files.read(path, 2.0, 5.0)[0]).max()
    assert len(files.read(path, 2.0, 5.0)[0]) == 3 * 16000
    [(start, _)] = sounding(files.read(path, 5.5, 6.5)[0])
    assert start == pytest.approx(0.5, abs=0.08)


def test_a_jump_of_a_day_is_refused(tmp_path):
    path = mux(tmp_path / "a.mkv", [(0.0, tone(1, 16000)), (9e4, tone(1, 16000))], 16000, "aac")
    with pytest.raises(files.AudioError, match="a jump of .* s in its time stamps, at .*Cut it"):
        files.read(path)


@pytest.mark.parametrize("rate", [8000, 32000])
def test_stamps_that_contradict_the_sample_rate_are_refused(tmp_path, rate):
    """A header of 16 kHz becomes one of another: half the sound would be silence, or too much."""
    path = mux(tmp_path / "a.mkv", [(0.0, tone(8, 16000))], 16000, "pcm_s16le")
    content = path.read_bytes()
    frequency = struct.pack(">d", 16000.0)
    assert content.count(frequency) == 1
    path.write_bytes(content.replace(frequency, struct.pack(">d", float(rate))))
    with pytest.raises(files.AudioError, match="contradict its sample rate"):
        files.read(path)
