"""Sound and its picture inside a page: MP3, which every browser plays, and a small PNG.

Both are made without a random number, so the same sound gives the same bytes.
"""

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.files import read, resample
from asr_dro_plugin.audio.sources import ARK_POINTER
from asr_dro_plugin.data.wav_scp import Item

LONGEST = 20.0  # seconds embedded of one utterance
COMPRESSION = 0.85  # libsndfile's scale 0..1; about 24 kbit/s at 16 kHz
WINDOW, HOP = 400, 160  # samples: 25 ms, 10 ms
BANDS = 64  # rows of the picture, 0 to 8 kHz
MOST_COLUMNS = 600
RANGE = 60.0  # dB below the loudest that are told apart
SHADES = 16  # 4 bits a pixel
# Ends and middle of the picture's colours, dark to bright (red, green, blue).
PALETTE = ((13, 8, 60), (150, 40, 110), (250, 150, 50), (250, 250, 190))


def is_here(item: Item, recipe: Path) -> bool:
    """Whether the file exists, be it a Kaldi archive."""
    pointer = ARK_POINTER.fullmatch(item.path)
    return (recipe / (pointer["ark"] if pointer else item.path)).exists()


def read_sound(item: Item, recipe: Path) -> np.ndarray:
    """At most 20 s of an utterance: (N,) float32 at 16 kHz.

    Raises:
        AudioError: missing or damaged.
    """
    start = item.start or 0.0
    end = start + LONGEST if item.end is None else min(item.end, start + LONGEST)
    samples, rate = read(recipe / item.path, item.start, end)  # an absolute path stays as it is
    return resample(samples, rate * item.speed, SAMPLE_RATE)


def mp3(samples: np.ndarray) -> bytes:
    """An MP3 file of (N,) float32 at 16 kHz."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(
        stream, np.clip(samples, -1, 1), SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III",
        compression_level=COMPRESSION, bitrate_mode="CONSTANT",
    )  # fmt: skip
    return stream.getvalue()


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """(64, columns) of 0..15: the loudness of bands from 0 (last row) to 8 kHz, 60 dB in all.

    Args:
        samples: (N,) at 16 kHz; what is shorter than a window is padded.
    """
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples)))).astype(np.float32)
    hop = max(HOP, -(-(len(padded) - WINDOW) // MOST_COLUMNS))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    edges = np.linspace(1, power.shape[1], BANDS + 1).astype(int)
    bands = np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    level = np.clip((decibels - decibels.max()) / RANGE + 1, 0, 1)
    return np.round(level * (SHADES - 1)).astype(np.uint8).T[::-1]


def png(picture: np.ndarray) -> bytes:
    """A PNG of (height, width) shades 0..15, four bits a pixel.

    Source: the PNG specification, https://www.w3.org/TR/png-3/ (colour type 3, bit depth 4).
    """
    height, width = picture.shape
    even = np.pad(picture, ((0, 0), (0, width % 2)))
    rows = (even[:, ::2] << 4) | even[:, 1::2]
    raw = np.pad(rows, ((0, 0), (1, 0))).astype(np.uint8).tobytes()  # a filter byte (0) a row
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
        (b"PLTE", _palette()),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _palette() -> bytes:
    places = np.linspace(0, len(PALETTE) - 1, SHADES)
    columns = [np.interp(places, range(len(PALETTE)), [c[i] for c in PALETTE]) for i in range(3)]
    return np.round(np.array(columns).T).astype(np.uint8).tobytes()


def _chunk(name: bytes, body: bytes) -> bytes:
    check = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def data_url(kind: str, content: bytes) -> str:
    """A URL that holds the content itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
