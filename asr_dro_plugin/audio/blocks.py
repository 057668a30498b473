"""A recording as blocks of one channel at SAMPLE_RATE, in memory that does not grow with it."""

import io
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.faults import AudioError
from asr_dro_plugin.audio.files import AudioFile

DESCRIPTORS = "/proc/self/fd"  # where an open file can be opened anew, with a place of its own


class Sizes(NamedTuple):
    """What a recording is said to be, or has been so far, at its own rate.

    Attributes:
        sample_rate: Hz.
        num_channels: channels.
        seconds: declared, or decoded so far.
    """

    sample_rate: int
    num_channels: int
    seconds: float

    @property
    def num_bytes(self) -> int:
        """Bytes of all channels as float32."""
        return 4 * round(self.seconds * self.sample_rate) * self.num_channels


class AudioBlocks:
    """Iterates over a recording once: blocks (N,) float32 at SAMPLE_RATE, some seconds each.

    Together they are the very samples of ``files.read`` and ``files.resample``.

    Args:
        source: a path, the bytes of a file, or a binary file object, which is read from its
            beginning and stays open.
        name: what messages call it; the path by default.
        check: told the declared sizes before anything is decoded, then the decoded ones after each
            block; raises AudioError for what is too much.
        formats: FFmpeg's names of the containers that may be read; empty for all.

    Raises:
        AudioError: missing, empty or undecodable; the message names it.

    Attributes:
        sample_rate: of the file, Hz.
        num_channels: of the file.
        duration: seconds as declared, None where only decoding would tell.
        seconds: decoded so far.
    """

    def __init__(
        self,
        source: str | os.PathLike | bytes | BinaryIO,
        name: str | None = None,
        check: Callable[[Sizes], None] | None = None,
        formats: tuple[str, ...] = (),
    ) -> None:
        self._check = check or (lambda sizes: None)
        self._file = AudioFile(_reopened(source), name=name, formats=formats)
        self.name, self.sample_rate = self._file.name, self._file.sample_rate
        self.num_channels, self.duration = self._file.num_channels, self._file.declared_seconds
        self.seconds = 0.0
        try:
            self._tell(self.duration or 0.0)
        except AudioError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was read in spite of damage is told of."""
        self._file.__exit__()

    def _tell(self, seconds: float) -> None:
        self._check(Sizes(self.sample_rate, self.num_channels, seconds))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Blocks, none of them empty.

        Raises:
            AudioError: damaged, no samples, samples that are no numbers, or what ``check`` raises.
        """
        resampler = _Resampler(self.sample_rate)
        for block in self._file.blocks():
            self.seconds += len(block) / self.sample_rate
            self._tell(self.seconds)
            if not np.isfinite(block).all():
                raise AudioError(f"{self.name} holds samples that are no numbers. Convert it anew.")
            if len(made := resampler.add(block)):
                yield made
        if not self.seconds:
            raise AudioError(f"{self.name} holds no samples. Record it anew.", "zero-length audio")
        if len(made := resampler.rest()):
            yield made


class _Resampler:
    """``files.resample``, block after block, with the same result."""

    def __init__(self, rate: int) -> None:
        self._rate, self._stream = rate, None
        self._taken = self._given = 0
        if rate != SAMPLE_RATE:
            import soxr

            self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, quality="HQ")

    def add(self, block: np.ndarray, is_last: bool = False) -> np.ndarray:
        if self._stream is None:
            return block
        self._taken += len(block)
        made = self._stream.resample_chunk(block, last=is_last)
        self._given += len(made)
        return made

    def rest(self) -> np.ndarray:
        made = self.add(np.zeros(0, np.float32), is_last=True)
        if self._stream is None:
            return made
        lack = round(self._taken * SAMPLE_RATE / self._rate) - self._given
        return np.pad(made, (0, lack)) if lack > 0 else made[: len(made) + lack]


def _reopened(source: str | os.PathLike | bytes | BinaryIO) -> str | os.PathLike | io.BytesIO:
    """A path to what is given, else its bytes."""
    if isinstance(source, str | os.PathLike):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    try:
        path = f"{DESCRIPTORS}/{source.fileno()}"
    except (AttributeError, OSError):
        path = ""
    if os.path.isfile(path):
        return path
    if source.seekable():
        source.seek(0)
    return io.BytesIO(source.read())
