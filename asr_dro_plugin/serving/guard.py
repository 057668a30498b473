"""One guard for the audio of every route: what is too much is refused before and while it decodes.

It stands inside the worker.  The header's word is judged first, so that most bombs cost nothing;
what is decoded is counted, so that a header which lies gains nothing; and whatever a decoder does
with a strange file becomes an ``AudioError``, which a client is told as 4xx.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.audio.blocks import DESCRIPTORS, AudioBlocks, Sizes
from asr_dro_plugin.audio.faults import AudioError

MIN_RATE, MAX_RATE = 8000, 192_000  # Hz
MAX_CHANNELS = 8
BYTES_A_SECOND = 4 * 2 * 48_000  # of a long recording: stereo at 48 kHz; a short one may have more
DECODE_SECONDS = 10.0  # of processor time for the header, and for each block
NAME = "The recording"
# FFmpeg's names of the containers that recorders, phones and browsers write; none opens another.
FORMATS = (
    "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "flac", "flv",
    "matroska", "mov", "mp3", "mpeg", "mpegts", "ogg", "tta", "w64", "wav", "wv",
)  # fmt: skip


class Refused(AudioError):
    """A recording that is too much; ``code`` is the word for programs, ``status`` HTTP's."""

    def __init__(self, message: str, code: str, status: int = 400) -> None:
        super().__init__(message, code)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Guard:
    """The limits of one recording.

    Args:
        max_seconds: longest, declared and decoded.
    """

    max_seconds: float

    @property
    def max_bytes(self) -> float:
        """Most bytes of decoded samples, all channels, as float32."""
        return max(self.max_seconds, 600) * BYTES_A_SECOND

    def check(self, sizes: Sizes) -> None:
        """Judge what a header says, or what was decoded so far.

        Raises:
            Refused: a rate, channels, seconds or bytes beyond the limits.
        """
        rate, channels, seconds = sizes
        if not MIN_RATE <= rate <= MAX_RATE:
            raise Refused(
                f"{NAME} has {rate} samples a second. Convert it to 16000 "
                f"({MIN_RATE} to {MAX_RATE} are read).", "unsupported_sample_rate"
            )  # fmt: skip
        if not 1 <= channels <= MAX_CHANNELS:
            raise Refused(
                f"{NAME} has {channels} channels. Mix it down to at most {MAX_CHANNELS}.",
                "unsupported_channels",
            )
        if seconds > self.max_seconds:
            raise Refused(
                f"{NAME} is longer than {self.max_seconds:g} s. Cut it into parts.",
                "audio_too_long", 413,
            )  # fmt: skip
        if sizes.num_bytes > self.max_bytes:
            raise Refused(
                f"{NAME} decodes to more than {self.max_bytes / 1e6:.0f} MB. "
                "Convert it to one channel at 16000 Hz, or cut it into parts.",
                "audio_too_long", 413,
            )  # fmt: skip

    def open(self, descriptor: int) -> "GuardedBlocks":
        """The recording behind an open descriptor, which stays the caller's.

        Raises:
            AudioError: what cannot be read; ``Refused``: what is too much.
        """
        with _as_audio_error():
            path = f"{DESCRIPTORS}/{descriptor}"
            return GuardedBlocks(path, NAME, self.check, FORMATS)


class GuardedBlocks(AudioBlocks):
    """``AudioBlocks`` whose every failure is an ``AudioError``, and none of which runs for ever."""

    def __iter__(self) -> Iterator[np.ndarray]:
        blocks = super().__iter__()
        while True:
            with _as_audio_error():
                block = next(blocks, None)
            if block is None:
                return
            yield block


@contextlib.contextmanager
def _as_audio_error() -> Iterator[None]:
    try:
        with _processor_time(DECODE_SECONDS):
            yield
    except AudioError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise AudioError(f"{NAME} cannot be read ({kind}). Convert it to WAV or FLAC.") from error


@contextlib.contextmanager
def _processor_time(seconds: float) -> Iterator[None]:
    """Raise ``TimeoutError`` between two steps of Python after so much processor time.

    A thread beside the main one cannot be interrupted, and is not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise TimeoutError("decoding takes too long")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
