import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio import files as audio
from asr_dro_plugin.audio.files import AudioError
from asr_dro_plugin.audio.sound_file import SoundFileReader
from tests.sounds import encode, noise, pitch_of, tone, write_flac

CONTAINERS = [
    ("WAV", "PCM_U8", 0.01),
    ("WAV", "PCM_16", 1e-4),
    ("WAV", "PCM_24", 1e-6),
    ("WAV", "PCM_32", 1e-6),
    ("WAV", "FLOAT", 1e-7),
    ("WAV", "DOUBLE", 1e-7),
    ("WAV", "ULAW", 0.01),
    ("FLAC", "PCM_16", 1e-4),
    ("FLAC", "PCM_24", 1e-6),
    ("AIFF", "PCM_16", 1e-4),
    ("AU", "PCM_16", 1e-4),
    ("NIST", "PCM_16", 1e-4),
    ("W64", "PCM_16", 1e-4),
    ("CAF", "ALAC_16", 1e-4),
]


@pytest.mark.parametrize(("container", "subtype", "tolerance"), CONTAINERS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_subtype_gives_the_mean_over_channels(
    tmp_path, container, subtype, tolerance, channels
):
    x = noise(0.3, 22050, channels)
    path = tmp_path / "a.sound"
    soundfile.write(path, x, 22050, format=container, subtype=subtype)
    samples, rate = audio.read(path)
    expected = x if channels == 1 else x.mean(axis=1)
    assert rate == 22050 and samples.dtype == np.float32 and samples.shape == expected.shape
    assert np.abs(samples - expected).max() <= tolerance
    assert audio.probe(path) == audio.AudioInfo(len(x), 22050, channels)


@pytest.mark.parametrize(("name", "codec", "container", "rate", "slack"), [
    ("a.g722", "g722", "g722", 16000, 0.001),
    ("a.m4a", "aac", None, 44100, 0.06),
    ("a.mp4", "aac", None, 22050, 0.11),
    ("a.webm", "libopus", None, 48000, 0.01),
    ("a.mp3", "libmp3lame", None, 32000, 0.06),
    ("a.mkv", "aac", None, 16000, 0.07),
])  # fmt: skip
def test_ffmpeg_containers_keep_pitch_and_length(
    tmp_path, name, codec, container, rate, slack, caplog
):
    path = encode(tmp_path / name, tone(1.5, rate), rate, codec, container)
    samples, read_rate = audio.read(path)
    info = audio.probe(path)
    assert read_rate == rate and info.decoder == "FFmpeg" and info.num_channels == 1
    assert info.num_samples == len(samples)
    assert abs(info.duration - 1.5) < slack
    assert pitch_of(samples, rate) == pytest.approx(440, abs=2)
    assert samples.std() == pytest.approx(0.4 / 2**0.5, rel=0.1)
    assert not caplog.text  # an ordinary file is read without a word


def test_raw_g722_is_measured_without_decoding(tmp_path):
    path = tmp_path / "a.G722"
    path.write_bytes(bytes(8000))
    assert audio.probe(path) == audio.AudioInfo(16000, 16000, 1, "FFmpeg")


PIECES = [
    (0.0, 0.2),
    (0.1, 0.1),
    (0.1, 0.3),
    (0.5, None),
    (0.2, 0.21),
    (0.9, 5.0),
    (3.0, 4.0),
    (None, None),
]


@pytest.mark.parametrize("name", ["a.flac", "a.wav", "a.ogg", "a.mp3", "a.g722"])
def test_pieces_equal_the_same_stretch_of_the_whole(tmp_path, name):
    path = tmp_path / name
    if name.endswith("g722"):
        encode(path, noise(1.0), 16000, "g722", "g722")
    else:
        soundfile.write(path, noise(1.0, channels=2), 16000)
    whole, rate = audio.read(path)
    for (start, end), (piece, _) in zip(PIECES, audio.read_pieces(path, PIECES), strict=True):
        expected = whole[round((start or 0) * rate) : None if end is None else round(end * rate)]
        np.testing.assert_allclose(piece, expected, atol=1e-6)


def test_a_piece_reads_only_what_it_needs(tmp_path, monkeypatch):
    path = write_flac(tmp_path / "long.flac", noise(60.0, 8000), 8000)
    wanted = []
    real = SoundFileReader._read_block

    def counted(self, frames):
        wanted.append(frames)
        return real(self, frames)

    monkeypatch.setattr(SoundFileReader, "_read_block", counted)
    assert len(audio.read(path, 50.0, 51.5)[0]) == 12000
    assert sum(wanted) == 12000


def test_archive_pointers_are_read_and_probed(tmp_path):
    kaldiio = pytest.importorskip("kaldiio")
    x = np.rint(noise(0.5) * 32768).astype(np.int16)
    ark, scp = tmp_path / "wav:1.ark", tmp_path / "wav.scp"
    kaldiio.save_ark(
        str(ark), {"a": (16000, x), "b": (16000, x[:77])}, scp=str(scp),
        write_function="soundfile", write_kwargs={"format": "FLAC"},
    )  # fmt: skip
    pointers = [line.split(None, 1)[1] for line in scp.read_text().splitlines()]
    for pointer, expected in zip(pointers, (x, x[:77]), strict=True):
        assert audio.probe(pointer).num_samples == len(expected)
        np.testing.assert_array_equal(audio.read(pointer)[0] * 32768, expected)
    wav_ark = tmp_path / "riff.ark"
    kaldiio.save_ark(str(wav_ark), {"a": (16000, x)})
    np.testing.assert_array_equal(audio.read(f"{wav_ark}:2")[0] * 32768, x)


@pytest.mark.parametrize("offset", [0, 1, 40, 10**9])
def test_a_wrong_archive_offset_is_an_audio_error(tmp_path, offset):
    kaldiio = pytest.importorskip("kaldiio")
    ark = tmp_path / "wav.ark"
    kaldiio.save_ark(str(ark), {"a": (16000, np.zeros(9, np.int16))}, write_function="soundfile")
    with pytest.raises(AudioError, match="wav.ark"):
        audio.read(f"{ark}:{offset}")


def test_pipes_run_only_when_allowed(tmp_path):
    path = write_flac(tmp_path / "a.flac", noise(0.2))
    pipe = f"touch {tmp_path}/ran; cat {path} |"
    with pytest.raises(AudioError, match="--allow_pipes true"):
        audio.read(pipe)
    assert not (tmp_path / "ran").exists()
    np.testing.assert_array_equal(audio.read(pipe, allow_pipes=True)[0], audio.read(path)[0])
    assert audio.probe(pipe, allow_pipes=True).num_samples == 3200
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("command", ["false |", "echo broken >&2; exit 3 |", "true |"])
def test_a_failing_pipe_is_an_audio_error(command):
    with pytest.raises(AudioError, match="gave no audio"):
        audio.read(command, allow_pipes=True)


@pytest.mark.parametrize(("content", "reason", "words"), [
    (None, "missing audio", "does not exist"),
    (b"", "zero-length audio", "empty file"),
    (b"this is no sound at all\n" * 20, "unreadable audio", "neither by libsndfile .* nor by"),
    (b"RIFF\x24\x00\x00\x00WAVEfmt ", "unreadable audio", "Convert it"),
])  # fmt: skip
def test_a_file_that_is_no_audio_is_one_clear_line(tmp_path, content, reason, words):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    for function in (audio.read, audio.probe):
        with pytest.raises(AudioError, match=words) as caught:
            function(path)
        assert caught.value.reason == reason
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(AudioError, match="is a folder"):
        audio.read(tmp_path)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_truncated_flac_is_refused(tmp_path, cut):
    path = write_flac(tmp_path / "a.flac", noise(2.0))
    content = path.read_bytes()
    path.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(AudioError, match="damaged"):
        audio.read(path)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU"])
def test_a_truncated_uncompressed_file_is_refused_not_shortened(tmp_path, container):
    path = tmp_path / "a.sound"
    soundfile.write(path, noise(1.0), 16000, format=container, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:20000])
    for function in (audio.probe, audio.read):
        with pytest.raises(AudioError, match="cut off"):
            function(path)


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"])
def test_a_wav_written_to_a_pipe_is_read_to_its_end(tmp_path, size):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1.0), 16000, subtype="PCM_16")
    content = path.read_bytes()
    at = content.index(b"data") + 4
    path.write_bytes(content[:at] + size + content[at + 4 :])
    assert audio.probe(path).num_samples == len(audio.read(path)[0]) == 16000


def test_tags_in_another_encoding_do_not_matter(tmp_path):
    path = encode(tmp_path / "a.mp3", tone(0.5, 16000), 16000, "libmp3lame")
    tag = b"TIT2" + (7).to_bytes(4) + b"\0\0" + b"\3caf\xe9\xff\xfe"  # says UTF-8 and is not
    header = b"ID3\4\0\0" + len(tag).to_bytes(4)
    path.write_bytes(header + tag + path.read_bytes())
    assert audio.probe(path).sample_rate == 16000


def test_a_streamed_flac_of_unknown_length_is_counted(tmp_path):
    path = write_flac(tmp_path / "a.flac", noise(1.0, channels=2))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: the 36 bits of the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert audio.probe(path).num_samples == 16000
    assert len(audio.read(path)[0]) == 16000
    assert len(audio.read(path, 0.25, 0.5)[0]) == 4000


def test_a_film_without_sound_is_refused(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=5)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), format="yuv420p")
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no audio track"):
        audio.read(tmp_path / "a.mkv")


def test_without_pyav_the_error_names_the_decoder_that_is_needed(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.m4a", tone(0.5, 16000), 16000, "aac")
    flac = write_flac(tmp_path / "a.flac", noise(0.1))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        AudioError, match="needs FFmpeg's decoders.* Convert it to WAV or FLAC, or: .*media"
    ):
        audio.read(path)
    assert len(audio.read(flac)[0]) == 1600


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 5000),
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 14400.0, 48510.0]),
)
def test_resampling_keeps_the_duration_to_half_a_sample(n, rate):
    out = audio.resample(np.zeros(n, np.float32), rate, 16000)
    assert len(out) == round(n * 16000 / rate) and out.dtype == np.float32


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_the_wave(rate):
    out, expected = audio.resample(tone(1.0, rate), rate, 16000), tone(1.0, 16000)
    assert np.abs(out - expected)[800:-800].max() < 1e-3


def test_resampling_removes_what_would_alias():
    assert (
        np.abs(audio.resample(tone(1.0, 44100, pitch=15000), 44100, 16000)[800:-800]).max() < 1e-3
    )
