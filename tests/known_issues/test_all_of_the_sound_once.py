"""Damage in the middle, streams behind streams, headers of recorders that could not go back.

A short block made libsndfile seek and read the last second again; the end of the first stream was
taken for the file's; a declared size of zero for no samples; one bad packet refused a whole file.
"""

import io
import struct

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio import files
from asr_dro_plugin.audio.files import AudioError
from asr_dro_plugin.audio.read_ahead import Location, load
from tests.sounds import encode, noise, pitch_of, tone

SECONDS = 24


def scale(seconds: int, rate: int) -> np.ndarray:
    """A tone a second, each of its own pitch: a second heard twice, or too early, shows."""
    return np.concatenate([tone(1, rate, 300.0 + 40 * n) for n in range(seconds)])


def heard(samples: np.ndarray, rate: int) -> list[int | None]:
    """Which second of ``scale`` each second is; None for one that is no longer whole."""
    found, samples = [], np.pad(samples, (0, rate // 10))  # codecs cut off a little
    for n in range(len(samples) // rate):
        second = samples[n * rate : (n + 1) * rate]
        whole = np.sqrt(np.mean(second**2)) > 0.25
        found.append(round((pitch_of(second, rate) - 300) / 40) if whole else None)
    return found


def write_ogg(path, samples, rate, subtype):
    with soundfile.SoundFile(path, "w", rate, 1, format="OGG", subtype=subtype) as out:
        for start in range(0, len(samples), rate):
            out.write(samples[start : start + rate])
    return path


@pytest.fixture(scope="module", params=["VORBIS", "OPUS"])
def ogg(request, tmp_path_factory):
    """An Ogg file of many pages, its rate and its subtype."""
    folder, rate = tmp_path_factory.mktemp("ogg"), 16000 if request.param == "VORBIS" else 48000
    samples = scale(SECONDS, rate) + noise(SECONDS, rate)
    return write_ogg(folder / "a.ogg", samples, rate, request.param), rate, request.param


def test_damage_in_the_middle_of_ogg_repeats_nothing_and_moves_nothing(ogg, tmp_path, caplog):
    path, rate, _ = ogg
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "a.ogg").write_bytes(content)
    samples, _ = files.read(tmp_path / "a.ogg")
    assert len(samples) == pytest.approx(SECONDS * rate, abs=0.1 * rate)
    seconds = heard(samples, rate)
    assert seconds.count(None) <= 2 and len(seconds) >= SECONDS - 1
    assert all(second in (n, None) for n, second in enumerate(seconds))
    assert "is damaged" in caplog.text and "s are taken as silence" in caplog.text
    assert files.probe(tmp_path / "a.ogg").num_samples == len(samples)


def test_ogg_with_a_twentieth_of_it_damaged_is_refused(ogg, tmp_path):
    path, *_ = ogg
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + len(content) // 8] = bytes(len(content) // 8)
    (tmp_path / "a.ogg").write_bytes(content)
    for function in (files.read, files.probe):
        with pytest.raises(AudioError, match=r"damaged.*allowed 5 %"):
            function(tmp_path / "a.ogg")


def test_a_page_that_is_not_there_is_told(ogg, tmp_path, caplog):
    path, rate, _ = ogg
    content = path.read_bytes()
    pages = [n for n in range(len(content)) if content.startswith(b"OggS", n)]
    middle = len(pages) // 2
    (tmp_path / "a.ogg").write_bytes(content[: pages[middle]] + content[pages[middle + 1] :])
    seconds = heard(files.read(tmp_path / "a.ogg")[0], rate)
    assert all(second in (n, None) for n, second in enumerate(seconds))
    assert "is damaged" in caplog.text


def test_ogg_that_is_cut_off_is_told(ogg, tmp_path, caplog):
    path, rate, _ = ogg
    content = path.read_bytes()
    (tmp_path / "a.ogg").write_bytes(content[:-40])
    assert len(files.read(tmp_path / "a.ogg")[0]) >= (SECONDS - 2) * rate
    assert "before its header says" in caplog.text


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("lengths", [(3, 2), (2, 3), (1, 2, 1)])
def test_the_end_of_the_first_stream_is_not_the_end(tmp_path, subtype, lengths, caplog):
    rate, starts = 48000, np.cumsum([0, *lengths])
    whole = scale(sum(lengths), rate)
    links = [
        write_ogg(tmp_path / f"{n}.ogg", whole[start * rate : end * rate], rate, subtype)
        for n, (start, end) in enumerate(zip(starts, starts[1:]))
    ]
    path = tmp_path / "chain.ogg"
    path.write_bytes(b"".join(link.read_bytes() for link in links))
    samples, _ = files.read(path)
    assert len(samples) == pytest.approx(len(whole), abs=0.03 * rate)
    assert heard(samples, rate) == [*range(sum(lengths))]
    assert not caplog.text  # nothing is wrong with such a file


def test_streams_of_two_rates_are_refused(tmp_path):
    links = [write_ogg(tmp_path / f"{r}.ogg", tone(1, r), r, "VORBIS") for r in (16000, 22050)]
    path = tmp_path / "chain.ogg"
    path.write_bytes(b"".join(link.read_bytes() for link in links))
    with pytest.raises(AudioError):
        files.read(path)


def wav(samples, container="WAV") -> bytearray:
    out = io.BytesIO()
    soundfile.write(out, samples, 16000, format=container, subtype="PCM_16")
    return bytearray(out.getvalue())


def with_size(content: bytearray, word: bytes, behind: int, size: bytes) -> bytes:
    at = content.index(word) + behind
    content[at : at + len(size)] = size
    return bytes(content)


HEADERS = {
    "WAV 0": lambda x: with_size(wav(x), b"data", 4, bytes(4)),
    "WAV 0, RIFF 0": lambda x: with_size(
        bytearray(with_size(wav(x), b"data", 4, bytes(4))), b"RIFF", 4, bytes(4)
    ),
    "WAV -1": lambda x: with_size(wav(x), b"data", 4, b"\xff" * 4),
    "AU 0": lambda x: with_size(wav(x, "AU"), b".snd", 8, bytes(4)),
    "AU -1": lambda x: with_size(wav(x, "AU"), b".snd", 8, b"\xff" * 4),
    "RF64 0": lambda x: with_size(wav(x, "RF64"), b"ds64", 8, bytes(24)),
    "W64 0": lambda x: with_size(wav(x, "W64"), b"data", 16, bytes(8)),
    "CAF -1": lambda x: with_size(wav(x, "CAF"), b"data", 4, b"\xff" * 8),
    "NIST 0": lambda x: bytes(wav(x, "NIST")).replace(b"count -i 16000", b"count -i 00000"),
    "AIFF 0": lambda x: with_size(wav(x, "AIFF"), b"SSND", 4, bytes(4)),
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_declared_size_of_zero_hides_no_samples(tmp_path, header):
    samples = noise(1.0)
    path = tmp_path / "a.sound"
    path.write_bytes(HEADERS[header](samples))
    found, rate = files.read(path)
    assert rate == 16000 and files.probe(path).num_samples == 16000
    np.testing.assert_allclose(found, samples, atol=1e-4)


@pytest.mark.parametrize("behind", [b"", b"LIST\x04\0\0\0INFO", b"LIST\x05\0\0\0INFO.\0"])
def test_a_wav_without_samples_still_has_none(tmp_path, behind):
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(wav(np.zeros(0, np.float32))) + behind)
    assert load(Location("u", str(path))).fault == "holds no samples"


@pytest.mark.parametrize(
    "container", ["WAV", "RF64", "W64", "CAF", "NIST", "AU", "AIFF", "SVX", "VOC", "AVR"]
)
@pytest.mark.parametrize("left", [0.5, 0.97])
def test_samples_that_the_header_declares_and_are_not_there_are_missed(tmp_path, container, left):
    content = wav(noise(2.0), container)
    (tmp_path / "a.sound").write_bytes(content[: int(left * len(content))])
    with pytest.raises(AudioError, match=r"cut off|damaged"):
        files.read(tmp_path / "a.sound")


def test_a_wav_that_lacks_its_last_bytes_is_read_and_told(tmp_path, caplog):
    content = wav(noise(10.0))
    (tmp_path / "a.wav").write_bytes(content[:-2000])
    assert len(files.read(tmp_path / "a.wav")[0]) == 159000
    assert "lacks 0.62 % of the bytes" in caplog.text


PACKETS = [
    ("a.mp3", "libmp3lame", 44100), ("a.aac", "aac", 44100), ("a.m4a", "aac", 44100),
    ("a.ts", "aac", 44100), ("a.mp3", "libmp3lame", 16000),
]  # fmt: skip


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """Function that writes ``scale`` with a codec, once each."""
    made = {}

    def write(name, codec, rate):
        if (name, rate) not in made:
            folder = tmp_path_factory.mktemp("lossy")
            made[name, rate] = encode(folder / name, scale(SECONDS, rate), rate, codec)
        return made[name, rate].read_bytes()

    return write


@pytest.mark.parametrize(("name", "codec", "rate"), PACKETS)
@pytest.mark.parametrize("size", [300, 1500])
def test_bad_packets_are_gone_over_counted_and_keep_the_time(
    lossy, tmp_path, name, codec, rate, size, caplog
):
    content = bytearray(lossy(name, codec, rate))
    middle = len(content) // 2
    content[middle : middle + size] = bytes(size)
    path = tmp_path / name
    path.write_bytes(content)
    samples, _ = files.read(path)
    assert len(samples) == pytest.approx(SECONDS * rate, abs=0.1 * rate)
    seconds = heard(samples, rate)
    assert seconds[-1] == SECONDS - 1 and seconds.count(None) <= 2
    assert all(second in (n, None) for n, second in enumerate(seconds[: SECONDS - 1]))
    assert "bad packets" in caplog.text and caplog.text.count("WARNING") == 1
    assert files.probe(path).num_samples == len(samples)


@pytest.mark.parametrize(("name", "codec", "rate"), PACKETS)
def test_a_tenth_that_is_bad_is_refused(lossy, tmp_path, name, codec, rate):
    content = bytearray(lossy(name, codec, rate))
    third = len(content) // 3
    content[third : third + len(content) // 10] = bytes(len(content) // 10)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"cannot be decoded \(allowed 5 %\)"):
        files.read(path)
    assert "damaged" in load(Location("u", str(path))).fault


def test_webm_that_loses_a_cluster_is_told(tmp_path, caplog):
    path = encode(tmp_path / "a.webm", scale(60, 48000), 48000, "libopus")
    content = bytearray(path.read_bytes())
    middle = content.index(bytes.fromhex("1f43b675"), len(content) // 2)
    content[middle + 2000 : middle + 2300] = bytes(300)
    path.write_bytes(content)
    try:
        samples, rate = files.read(path)
    except AudioError as error:
        assert "damaged" in str(error)
        return
    seconds = heard(samples, rate)
    assert all(second in (n, None) for n, second in enumerate(seconds[:-1]))
    assert "is damaged" in caplog.text


CUT = {"a.webm": "libopus", "a.mp3": "libmp3lame", "a.mkv": "libopus", "a.flv": "libmp3lame",
       "a.wma": "wmav2"}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_ends_before_its_header_says_is_refused(tmp_path, name, caplog):
    rate = 44100 if name in ("a.flv", "a.wma") else 48000
    path = encode(tmp_path / name, scale(8, rate), rate, CUT[name])
    assert len(files.read(path)[0]) == pytest.approx(8 * rate, abs=0.1 * rate)
    assert not caplog.records
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for function in (files.read, files.probe):
        with pytest.raises(AudioError, match="cannot be decoded"):
            function(path)


def test_a_piece_that_damage_does_not_touch_is_read(lossy, tmp_path):
    content = bytearray(lossy("a.mp3", "libmp3lame", 16000))
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with files.AudioFile(path) as recording:
        assert len(recording.read(2.0, 4.0)) == 32000
        with pytest.raises(AudioError, match="damaged"):
            recording.read(11.5, 13.5)
        assert heard(recording.read(15.0, 17.0), 16000) == [15, 16]


def test_a_member_of_an_archive_and_a_pipe_are_held_to_the_same(tmp_path):
    content = HEADERS["WAV 0"](noise(0.5))
    (tmp_path / "a.wav").write_bytes(content)
    found, _ = files.read(f"cat {tmp_path}/a.wav |", allow_pipes=True)
    assert len(found) == 8000
    assert struct.unpack_from("<I", content, 40)[0] == 0
