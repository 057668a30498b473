"""Small files that would cost much: what a service must refuse at once."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from asr_dro_plugin.audio.ogg_pages import checksum, whole_pages
from tests.sounds import encode, noise

PCM, UNKNOWN_TAG = 1, 0x5A49
# What a recorder to a pipe writes, too: the sound that is there is read.
AS_LONG_AS_THEY_ARE = {"CAF of 2^60 bytes", "SPHERE of 10^12 samples"}


def wav(rate=16000, channels=1, declared=None, content=bytes(32000), tag=PCM) -> bytes:
    """A WAV file whose header says what it is told to."""
    size = len(content) if declared is None else declared
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * 2 % 2**32,
                       channels * 2 % 2**16, 16)  # fmt: skip
    head = b"RIFF" + struct.pack("<I", min(size + 36, 2**32 - 1)) + b"WAVE"
    head += b"fmt " + struct.pack("<I", 16) + form + b"data"
    return head + struct.pack("<I", size) + content


def flac(rate: int) -> bytes:
    """Half a second of FLAC at any rate."""
    out = io.BytesIO()
    soundfile.write(out, noise(0.5, 16000), rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def flac_that_declares(num_samples: int) -> bytes:
    """A second of FLAC whose header declares so many samples."""
    content = bytearray(flac(16000))
    high = content[21] & 0xF0 | num_samples >> 32
    content[21:26] = bytes([high]) + (num_samples & 0xFFFFFFFF).to_bytes(4)
    return bytes(content)


def hours_of_opus(folder: Path, hours: float, is_honest: bool = True) -> bytes:
    """Opus of the same second again and again; a liar's last page says one second."""
    source = encode(folder / "second.opus", np.zeros(48000 * 2, np.float32), 48000, "libopus",
                    options={"page_duration": "1000000"}).read_bytes()  # fmt: skip
    pages = [page for _, page in whole_pages(io.BytesIO(source))]
    head, body = pages[:2], pages[2]
    made = [*head]
    number = round(hours * 3600)
    for second in range(number):
        granule = 48000 * (second + 1)
        is_last = second == number - 1
        if is_last and not is_honest:
            granule = 48000
        made.append(_page(body, granule, second + 2, is_last))
    return b"".join(made)


def _page(body: bytes, granule: int, number: int, is_last: bool) -> bytes:
    page = bytearray(body)
    page[5] = 4 if is_last else 0
    page[6:14] = struct.pack("<q", granule)
    page[18:22] = struct.pack("<I", number)
    page[22:26] = struct.pack("<I", checksum(bytes(page)))
    return bytes(page)


def zip_bomb() -> bytes:
    """A zip of 200 MB of zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for number in range(20):
            archive.writestr(f"{number}.wav", bytes(10_000_000))
    return out.getvalue()


def ogg_of_magics() -> bytes:
    """5 MB that look like the beginnings of long Ogg pages, none of which is one."""
    page = b"OggS" + bytes(22) + b"\xff" + b"\xff" * 4
    return page * (5_000_000 // len(page))


def all_of(folder: Path) -> dict[str, bytes]:
    """Name -> content of every bomb."""
    au = b".snd" + struct.pack(">IIIII", 24, 0x7FFFFFF0, 3, 16000, 1) + bytes(3200)
    caf = (b"caff\0\1\0\0desc" + struct.pack(">qd4sIIIII", 32, 16000.0, b"lpcm", 0, 2, 1, 1, 16)
           + b"data" + struct.pack(">qI", 1 << 60, 0) + bytes(3200))  # fmt: skip
    nist = (b"NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
            b"sample_count -i 999999999999\nsample_coding -s3 pcm\nend_head\n")  # fmt: skip
    return {
        "1 Hz": wav(rate=1),
        "1 Hz, sizes of 4 GB": wav(rate=1, declared=2**32 - 2),
        "0 Hz": wav(rate=0),
        "4 GHz": wav(rate=2**32 - 1),
        "1,024 channels": wav(channels=1024, content=bytes(2048 * 100)),
        "65,535 channels": wav(channels=65535, content=bytes(200_000)),
        "655 kHz FLAC": flac(655350),
        "68 billion samples of FLAC": flac_that_declares(2**36 - 1),
        "hours of Opus": hours_of_opus(folder, 5.0),
        "zip named WAV": zip_bomb(),
        "zip in WAV": wav(content=zip_bomb(), tag=UNKNOWN_TAG),
        "AU of 2 GB": au, "CAF of 2^60 bytes": caf, "SPHERE of 10^12 samples": nist.ljust(4224),
        "Ogg of magics": ogg_of_magics(),
        "playlist": b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.mp3\n#EXT-X-ENDLIST\n",
        "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        "nothing but 0xFF": b"\xff" * 3_000_000,
        "nothing": b"\0",
    }  # fmt: skip
