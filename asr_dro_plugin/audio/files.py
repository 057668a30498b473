"""Any audio file as one channel of float32 samples, without an external program.

libsndfile (soundfile) reads WAV, FLAC, Ogg, AIFF, SPHERE …; what it does not read, or not exactly,
goes to FFmpeg's libraries inside the PyAV wheel: MP3, M4A, WMA, WebM, video, raw G.722.  A path may
also be a pointer into a Kaldi archive (``wav.ark:1234``) or, only when allowed, a command that ends
in ``|``.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from asr_dro_plugin.audio.faults import AudioError as AudioError
from asr_dro_plugin.audio.ffmpeg_stream import AudioStream, raw_format
from asr_dro_plugin.audio.sound_file import open_sound
from asr_dro_plugin.audio.sources import open_source, size_of

G722_RATE = 16000
G722_SAMPLES_PER_BYTE = 2


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


def probe(path: str | os.PathLike, allow_pipes: bool = False) -> AudioInfo:
    """Length, rate and channels: from the header where it tells, else counted by decoding.

    Raises:
        AudioError: missing, empty or undecodable; the message names the path.
    """
    with AudioFile(path, allow_pipes) as recording:
        return recording.info()


def probe_header(path: str | os.PathLike) -> AudioInfo | None:
    """``probe`` of a file whose header tells its length; None where only decoding would.

    Raises:
        AudioError: as ``probe``.
    """
    with AudioFile(path) as recording:
        return recording.info() if recording.is_told else None


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
    with AudioFile(path, allow_pipes) as recording:
        for start, end in pieces:
            yield recording.read(start, end), recording.sample_rate


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


class AudioFile:
    """One open recording: libsndfile where it can, else PyAV.

    What is read in spite of damage is told of when it is closed, as a warning.

    Args:
        path: a file, a Kaldi archive pointer, or a pipe; or the bytes of a file.
        allow_pipes: whether a command may be run.
        name: what messages call it; the path by default.
        formats: FFmpeg's names of the containers that may be read; empty for all.

    Raises:
        AudioError: missing, empty or undecodable; the message names the path.
    """

    def __init__(
        self,
        path: str | os.PathLike | io.BytesIO,
        allow_pipes: bool = False,
        name: str | None = None,
        formats: tuple[str, ...] = (),
    ) -> None:
        called, source = open_source(path, allow_pipes, name)
        name = self.name = name or called
        is_raw = raw_format(name) is not None
        sound, refusal = (None, "no header") if is_raw else open_sound(name, source)
        self._decoder = "libsndfile" if sound else "FFmpeg"
        self._num_bytes = size_of(source) if is_raw else None
        self._reader = sound or AudioStream(name, source, refusal, formats)
        self._was_read = False
        self.sample_rate, self.num_channels = self._reader.samplerate, self._reader.channels

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        if self._was_read:
            self._reader.losses.tell()

    @property
    def is_told(self) -> bool:
        """Whether the length is known without decoding."""
        return self._decoder == "libsndfile" or self._num_bytes is not None

    @property
    def declared_seconds(self) -> float | None:
        """Seconds by the word of the header; None where it has none, or guesses."""
        if self._num_bytes is not None:
            return self.info().duration
        return self._reader.declared_seconds

    def info(self) -> AudioInfo:
        """Sizes: from libsndfile's reading of the header, else counted."""
        if self._num_bytes is not None:
            return AudioInfo(self._num_bytes * G722_SAMPLES_PER_BYTE, G722_RATE, 1, self._decoder)
        num_samples, reader = self._reader.count(), self._reader
        return AudioInfo(num_samples, reader.samplerate, reader.channels, self._decoder)

    def read(self, start: float | None, end: float | None) -> np.ndarray:
        """(N,) float32 between two times in seconds."""
        first = max(0, round((start or 0.0) * self.sample_rate))
        last = None if end is None else max(first, round(end * self.sample_rate))
        samples = self._reader.read(first, last)
        self._was_read = True
        return samples

    def blocks(self) -> Iterator[np.ndarray]:
        """The whole recording in blocks (N,) float32 of some seconds or less, read once.

        Raises:
            AudioError: the file is damaged, more than a reader may go over.
        """
        self._was_read = True
        yield from self._reader.blocks()
