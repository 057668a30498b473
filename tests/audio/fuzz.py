"""Files of every container, broken at random, and a second reader that judges what was read.

The judge is PyAV alone: all frames that it decodes, one behind the other.  What we read must be
these frames in this order, each once, with nothing but silence between them.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from asr_dro_plugin.audio.files import AudioError, AudioFile
from tests.sounds import encode

RATE = 16000
SLOW = 10.0  # seconds for a file of three: a hang
MUTATIONS = ("flip", "flips", "cut", "drop", "zero", "insert", "repeat")
ENCODED = {
    "a.mp3": "libmp3lame", "a.m4a": "aac", "a.mp4": "aac", "a.aac": "aac", "a.mkv": "aac",
    "a.webm": "libopus", "a.opus": "libopus", "a.ts": "aac", "b.mkv": "pcm_s16le",
}  # fmt: skip
WRITTEN = {
    "a.wav": ("WAV", "PCM_16"), "b.wav": ("WAV", "FLOAT"), "a.flac": ("FLAC", "PCM_16"),
    "a.ogg": ("OGG", "VORBIS"), "a.au": ("AU", "PCM_16"), "a.aiff": ("AIFF", "PCM_16"),
}  # fmt: skip
SMALL_PAGES = {"page_duration": "100000"}  # microseconds: one damaged page is not all of it


def sweep(seconds: float = 3.0) -> np.ndarray:
    """(N,) float32 of which no two stretches are alike."""
    t = np.arange(round(seconds * RATE)) / RATE
    hiss = 0.02 * np.random.default_rng(0).standard_normal(len(t))
    return (0.4 * np.sin(2 * np.pi * (200 * t + 300 * t**2)) + hiss).astype(np.float32)


def whole_files(folder: Path) -> dict[str, bytes]:
    """One small file of each kind."""
    for name, codec in ENCODED.items():
        rate = 48000 if codec == "libopus" else RATE
        samples = np.repeat(sweep(), rate // RATE)
        options = SMALL_PAGES if name.endswith("opus") else {}
        encode(folder / name, samples, rate, codec, options=options)
    for name, (container, subtype) in WRITTEN.items():
        samples = sweep(30.0 if container == "OGG" else 3.0)  # its pages are long
        soundfile.write(folder / name, samples, RATE, format=container, subtype=subtype)
    return {name: (folder / name).read_bytes() for name in [*ENCODED, *WRITTEN]}


def broken(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """(name of the mutation, the file after it)."""
    kind = MUTATIONS[rng.integers(len(MUTATIONS))]
    size = int(rng.choice([1, 4, 60, 700, len(content) // 20]))
    head = rng.random() < 0.2  # headers are small, and where the trouble is
    at = int(rng.integers(min(600, len(content)) if head else len(content)))
    end = min(len(content), at + size)
    middle = {
        "flip": lambda: bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 : end],
        "flips": lambda: rng.bytes(end - at),
        "cut": lambda: b"",
        "drop": lambda: b"",
        "zero": lambda: bytes(end - at),
        "insert": lambda: rng.bytes(size) + content[at:end],
        "repeat": lambda: content[at:end] * 2,
    }[kind]()
    return f"{kind} {size} at {at}", content[:at] + middle + (
        b"" if kind == "cut" else content[end:]
    )


def frames_of(path: Path) -> Iterator[np.ndarray]:
    """The second reader: mono frames (N,), but what it cannot decode, and what is there twice."""
    last = None
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate = stream.codec_context.rate
        packets = container.demux(stream)
        while True:
            try:
                frames = next(packets).decode()
            except (StopIteration, av.error.EOFError):
                return
            except av.error.FFmpegError:
                continue
            for frame in frames:
                again = None not in (last, frame.time) and last - 1 <= frame.time <= last
                if frame.sample_rate == rate and not again:
                    last = frame.time
                    yield _mono(frame)


def _mono(frame) -> np.ndarray:
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, len(frame.layout.channels)).T
    if array.dtype.kind in "iu":
        array = array / 2.0 ** (8 * array.itemsize - 1) - (array.dtype.kind == "u")
    return array.mean(axis=0)


def judge(path: Path) -> str:
    """``refused``, ``confirmed``, or what is wrong with what we read of a file."""
    begun = time.process_time()
    with np.errstate(all="ignore"):  # a broken file of floats holds any number
        verdict = _judged(path)
    seconds = time.process_time() - begun
    return verdict if seconds < SLOW else f"took {seconds:.0f} s"


def _judged(path: Path) -> str:
    try:
        with AudioFile(path) as file:
            samples = file.read(None, None)
    except AudioError as error:
        words = str(error)
        return "refused" if "\n" not in words and str(path) in words else f"message: {words!r}"
    try:
        frames = list(frames_of(path))
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        return f"read {len(samples)} samples, and the second reader none ({error})"
    if not np.isfinite(samples).all():
        return "refused"  # ``read_ahead.load`` and stage 3 do: samples that are no numbers
    return compare(samples, frames)


def compare(samples: np.ndarray, frames: list[np.ndarray]) -> str:
    """Whether (N,) samples are the frames in their order, each once, to one packet."""
    place, missing, follows = 0, 0, False
    packet = max(map(len, frames), default=0)
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    for frame in frames:
        own = np.flatnonzero(np.abs(frame) > 1e-3)
        later = np.searchsorted(loud, place)
        if not len(own) or later == len(loud):
            missing += len(own)
            continue
        near = int(loud[later]) - int(own[0])
        start = _start_of(samples, frame, near, 4 if follows else packet)
        follows = start is not None
        if follows:
            place = start + len(frame)
        else:
            missing += len(frame)
    left = int((loud >= place).sum())
    if missing > packet or left > packet:
        return f"{missing} samples are missing, {left} are left over (packet {packet})"
    return "confirmed"


def _start_of(samples: np.ndarray, frame: np.ndarray, near: int, within: int) -> int | None:
    """Where a frame lies, within so many samples of ``near``."""
    for start in sorted(range(near - within, near + within + 1), key=lambda at: abs(at - near)):
        piece = samples[max(start, 0) : start + len(frame)]
        own = frame[max(-start, 0) :][: len(piece)]
        if len(own) > len(frame) // 2 and np.abs(piece - own).sum() <= 0.1 * np.abs(own).sum():
            return start
    return None
