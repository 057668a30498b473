"""Any audio file as one channel of float32 samples, without an external program.

libsndfile (soundfile) reads WAV, FLAC, Ogg, AIFF, SPHERE …; what it does not read, or not exactly,
goes to FFmpeg's libraries inside the PyAV wheel: MP3, M4A, WMA, WebM, video, raw G.722.  A path may
also be a pointer into a Kaldi archive (``wav.ark:1234``) or, only when allowed, a command that ends
in ``|``.
"""

import io
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from asr_dro_plugin.audio.ffmpeg_stream import AudioError, AudioStream, raw_format

G722_RATE = 16000
G722_SAMPLES_PER_BYTE = 2
INEXACT_FORMATS = {"MP3"}  # libsndfile may estimate the length, and differs after a seek
UNKNOWN_LENGTH = 2**48  # a streamed FLAC's header says "unknown", which libsndfile gives as 2**63-1
STREAMED_SIZE = 0.99 * 0x7FFFF000  # writers to a pipe declare this or more, not knowing the size
TRUNCATED = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
BLOCK = 1 << 20  # samples decoded at a time, so that channels are averaged in little memory
VORBIS_BLOCK = 8192  # samples; the longest block of an Ogg Vorbis stream
ARK_POINTER = re.compile(r"(?P<ark>.+):(?P<offset>\d+)\Z", re.DOTALL)


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds, at its own rate."""

    num_samples: int
    sample_rate: int
    num_channels: int
    decoder: str = "libsndfile"

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.num_samples / self.sample_rate


def is_pipe(path: str) -> bool:
    """Whether a wav.scp entry is a command whose output is the audio (Kaldi's ``cmd |``)."""
    return str(path).rstrip().endswith("|")


def probe(path: str | os.PathLike, allow_pipes: bool = False) -> AudioInfo:
    """Length, rate and channels: from the header where it tells, else counted by decoding.

    Raises:
        AudioError: missing, empty or undecodable; the message names the path.
    """
    name, source = _open_source(path, allow_pipes)
    if raw_format(name):
        if isinstance(source, str):
            num_samples = os.path.getsize(source) * G722_SAMPLES_PER_BYTE
        else:
            num_samples = source.getbuffer().nbytes * G722_SAMPLES_PER_BYTE
        return AudioInfo(num_samples, G722_RATE, 1, "FFmpeg")
    with _Decoder(name, source) as decoder:
        return decoder.info()


def read(
    path: str | os.PathLike,
    start: float | None = None,
    end: float | None = None,
    allow_pipes: bool = False,
) -> tuple[np.ndarray, int]:
    """Samples (N,) float32, nominally in -1..1, the mean over channels, and their rate in Hz.

    Args:
        path: a file, a Kaldi archive pointer, or a pipe.
        start: first second to read; None is the beginning.
        end: second to stop at; None, or beyond the last sample, is the end.
        allow_pipes: whether a command may be run.

    Raises:
        AudioError: missing, empty, truncated or undecodable; the message names the path.
    """
    return next(read_pieces(path, [(start, end)], allow_pipes))


def read_pieces(
    path: str | os.PathLike,
    pieces: list[tuple[float | None, float | None]],
    allow_pipes: bool = False,
) -> Iterator[tuple[np.ndarray, int]]:
    """Several stretches of one recording, in the order given, opening it once.

    Args:
        path: as in ``read``.
        pieces: (start, end) in seconds; sorted by start, a recording that cannot be searched is
            decoded once, and only what is still needed stays in memory.
    """
    name, source = _open_source(path, allow_pipes)
    with _Decoder(name, source) as decoder:
        for start, end in pieces:
            yield decoder.read(start, end), decoder.sample_rate


def resample(samples: np.ndarray, rate: float, target: int) -> np.ndarray:
    """Band-limited change of rate (soxr HQ): (N,) float32 -> (round(N * target / rate),).

    ``rate`` may be a fraction of the real one, which changes speed and pitch.
    """
    if rate == target or not len(samples):
        return samples
    import soxr

    wanted = round(len(samples) * target / rate)
    out = soxr.resample(samples, rate, target, quality="HQ")[:wanted]
    return np.pad(out, (0, wanted - len(out))) if len(out) < wanted else out


def _open_source(path: str | os.PathLike, allow_pipes: bool) -> tuple[str, str | io.BytesIO]:
    """Name for messages, and a plain path or the bytes of an archive member or a pipe."""
    name = str(path).strip()
    if is_pipe(name):
        return name, io.BytesIO(_run_pipe(name, allow_pipes))
    if os.path.isfile(name):
        if not os.path.getsize(name):
            raise AudioError(
                f"{name} is an empty file. Copy it again, or leave it out.", "zero-length audio"
            )
        return name, name
    if os.path.isdir(name):
        raise AudioError(f"{name} is a folder, not audio. Correct its path.")
    pointer = ARK_POINTER.match(name)
    if pointer and os.path.isfile(pointer["ark"]):
        return name, io.BytesIO(_ark_member(pointer["ark"], int(pointer["offset"])))
    raise AudioError(f"{name} does not exist. Correct its path, or leave it out.", "missing audio")


def _run_pipe(command: str, allowed: bool) -> bytes:
    """Output of a wav.scp command; the user allowed running what the file says."""
    if not allowed:
        raise AudioError(
            f"'{command}' is a command, and wav.scp may not run commands. "
            "Name files instead, or allow it with --allow_pipes true."
        )
    shell = command.rstrip().removesuffix("|")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise AudioError(
            f"'{command}' gave no audio (exit code {done.returncode}: {said}). Try it in a shell."
        )
    return done.stdout


def _ark_member(ark: str, offset: int) -> bytes:
    """Bytes of the audio file at ``offset`` of a Kaldi archive (kaldiio's soundfile entries)."""
    with open(ark, "rb") as stream:
        stream.seek(offset)
        head = stream.read(8)
        if head[:5] == b"AUDIO":  # then one byte n, n bytes of length, the file
            stream.seek(offset + 5)
            size = int.from_bytes(stream.read(int.from_bytes(stream.read(1))), "little")
        elif head[:4] == b"RIFF":
            size = 8 + int.from_bytes(head[4:8], "little")
            stream.seek(offset)
        else:
            raise AudioError(f"{ark}:{offset} is not audio in a Kaldi archive. Dump it again.")
        content = stream.read(size)
    if len(content) < size:
        raise AudioError(f"{ark}:{offset} is cut off. The archive is damaged; dump it again.")
    return content


class _Decoder:
    """One open recording: libsndfile where it can, else PyAV."""

    def __init__(self, name: str, source: str | io.BytesIO) -> None:
        self.name, self._refusal = name, "no header"
        self._sound = None if raw_format(name) else self._try_soundfile(source)
        self._stream = None if self._sound else AudioStream(name, source, self._refusal)
        self.sample_rate = (self._sound or self._stream).samplerate

    def _try_soundfile(self, source: str | io.BytesIO):
        import soundfile

        try:
            sound = soundfile.SoundFile(source)
        except (soundfile.LibsndfileError, TypeError) as error:
            self._refusal = " ".join(str(getattr(error, "error_string", error)).split())
        else:
            self._check_length(sound.extra_info)
            known = sound.frames < UNKNOWN_LENGTH and sound.seekable()
            if known and sound.format not in INEXACT_FORMATS:
                return sound
            self._refusal = f"inexact for this {sound.format} {sound.subtype}"
            sound.close()
        if not isinstance(source, str):
            source.seek(0)
        return None

    def _check_length(self, log: str) -> None:
        """libsndfile shortens a truncated WAV, AIFF or AU in silence; its log tells."""
        for declared, found in TRUNCATED.findall(log):
            if int(found) < 0.99 * int(declared) < STREAMED_SIZE:
                raise AudioError(
                    f"{self.name} has {found} bytes of sound where its header says {declared}. "
                    "It is cut off; copy it again."
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        (self._sound or self._stream).close()

    def info(self) -> AudioInfo:
        """Sizes: from libsndfile's reading of the header, else counted."""
        if self._stream:
            num_samples = self._stream.count()
            return AudioInfo(num_samples, self._stream.samplerate, self._stream.channels, "FFmpeg")
        return AudioInfo(self._sound.frames, self._sound.samplerate, self._sound.channels)

    def read(self, start: float | None, end: float | None) -> np.ndarray:
        """(N,) float32 between two times in seconds."""
        first = max(0, round((start or 0.0) * self.sample_rate))
        last = None if end is None else max(first, round(end * self.sample_rate))
        if self._stream:
            return self._stream.read(first, last)
        return self._read_sound(first, last)

    def _read_sound(self, first: int, last: int | None) -> np.ndarray:
        """Seek and read; a file that holds less than its header promises is refused."""
        if first >= self._sound.frames:
            return np.zeros(0, np.float32)
        stop = self._sound.frames if last is None else min(last, self._sound.frames)
        self._seek(first)
        blocks, left = [], stop - first
        while left > 0 and len(block := self._read_block(min(left, BLOCK))):
            blocks.append(block.mean(axis=1) if block.shape[1] > 1 else block[:, 0])
            left -= len(block)
        if left > 0:
            raise AudioError(
                f"{self.name} ends {left / self.sample_rate:.2f} s before its header says. "
                "It is damaged; copy it again."
            )
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _seek(self, first: int) -> None:
        if first == self._sound.tell():
            return
        lead = min(first, VORBIS_BLOCK) if self._sound.format == "OGG" else 0
        self._guard(self._sound.seek, first - lead)
        if lead:  # libsndfile's first block after a seek lacks the overlap with the one before
            self._read_block(lead)

    def _read_block(self, frames: int) -> np.ndarray:
        return self._guard(self._sound.read, frames, dtype="float32", always_2d=True)

    def _guard(self, function, *args, **kwargs):
        import soundfile

        try:
            return function(*args, **kwargs)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AudioError(
                f"{self.name} is damaged (libsndfile: {error}). Copy it again, or leave it out."
            ) from None
