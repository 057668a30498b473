import io
import os

import numpy as np
import pytest

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.blocks import AudioBlocks
from asr_dro_plugin.audio.faults import AudioError
from asr_dro_plugin.audio.files import read, resample
from tests.sounds import encode, noise, write_flac


def whole(path):
    samples, rate = read(path)
    return resample(samples, rate, SAMPLE_RATE)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    two = np.stack([noise(41.3, 44100), -noise(41.3, 44100)], 1)  # the mean of which is nothing
    return {
        "flac": write_flac(folder / "a.flac", two, 44100),
        "wav16": write_flac(folder / "b.flac", noise(20.01), 16000),
        "mp3": encode(folder / "c.mp3", noise(12.3, 22050), 22050, "libmp3lame"),
        "opus": encode(folder / "d.opus", noise(33.3, 48000), 48000, "libopus"),
        "webm": encode(folder / "e.webm", noise(5.5, 48000), 48000, "libopus"),
        "m4a": encode(folder / "f.m4a", noise(5.5, 32000), 32000, "aac"),
    }


@pytest.mark.parametrize("kind", ["flac", "wav16", "mp3", "opus", "webm", "m4a"])
def test_blocks_are_the_very_samples_of_the_whole_file(sounds, kind):
    blocks = AudioBlocks(sounds[kind])
    parts = list(blocks)
    assert min(map(len, parts)) > 0 and len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts), whole(sounds[kind]))
    assert blocks.seconds == pytest.approx(len(np.concatenate(parts)) / SAMPLE_RATE, abs=1e-3)


def test_a_header_tells_the_duration_where_it_knows_it(sounds):
    for kind, seconds in {"flac": 41.3, "opus": 33.3, "m4a": 5.5, "webm": 5.5}.items():
        assert AudioBlocks(sounds[kind]).duration == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("kind", ["flac", "webm"])
def test_bytes_a_file_object_and_a_file_without_a_name_are_the_same(sounds, kind):
    content = sounds[kind].read_bytes()
    descriptor = os.memfd_create("upload")
    with os.fdopen(descriptor, "wb+") as unnamed:
        unnamed.write(content)
        unnamed.flush()
        for source in (content, io.BytesIO(content), unnamed, sounds[kind].open("rb")):
            made = np.concatenate(list(AudioBlocks(source, name="the upload")))
            np.testing.assert_array_equal(made, whole(sounds[kind]))


def test_the_check_hears_of_the_header_and_of_every_block(sounds):
    told = []
    for _ in AudioBlocks(sounds["flac"], check=told.append):
        pass
    seconds = [sizes.seconds for sizes in told]
    assert seconds[0] == pytest.approx(41.3) and seconds[1:] == sorted(seconds[1:])
    assert (told[0].sample_rate, told[0].num_channels) == (44100, 2)
    assert told[-1].num_bytes == 4 * 2 * round(41.3 * 44100)


def test_what_the_check_refuses_is_closed(sounds):
    def refuse(sizes):
        raise AudioError("too long")

    before = len(os.listdir("/proc/self/fd"))
    for kind in ("flac", "webm"):
        with pytest.raises(AudioError, match="too long"):
            AudioBlocks(sounds[kind], check=refuse)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_playlist_is_no_sound_and_opens_nothing(tmp_path, sounds):
    playlist = tmp_path / "list.wav"
    playlist.write_text(f"#EXTM3U\n#EXTINF:12,\n{sounds['mp3']}\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError):
        list(AudioBlocks(playlist, formats=("mp3", "wav", "mov")))


@pytest.mark.parametrize(
    ("samples", "said"),
    [(np.zeros(0), "no samples|empty"), (np.array([0.1, np.nan]), "no numbers")],
)
def test_what_holds_no_sound_is_refused(tmp_path, samples, said):
    import soundfile

    soundfile.write(tmp_path / "a.wav", samples, 16000, "FLOAT")
    with pytest.raises(AudioError, match=said):
        list(AudioBlocks(tmp_path / "a.wav"))
