"""Audio that libsndfile reads exactly: opened only where the whole file is known to be sound."""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from asr_dro_plugin.audio import ogg_pages
from asr_dro_plugin.audio.faults import MAX_LOST, AudioError, Losses
from asr_dro_plugin.audio.headers import AU_SIZE, UNKNOWN, DataSize, data_size
from asr_dro_plugin.audio.mixing import Mixer, cancelled_note
from asr_dro_plugin.audio.sources import Source, stream_of

INEXACT_FORMATS = {"MP3"}  # libsndfile may estimate the length, and differs after a seek
UNKNOWN_LENGTH = 2**48  # a streamed FLAC's header says "unknown", which libsndfile gives as 2**63-1
TRUNCATED = re.compile(r"(?:SSND|BODY) *: (\d+) \(should be (\d+)\)")
MAY_LACK = 0.01  # of the bytes that a header declares
BLOCK = 1 << 20  # samples decoded at a time, so that channels are averaged in little memory
VORBIS_BLOCK = 8192  # samples; the longest block of an Ogg Vorbis stream


class SoundFileReader:
    """One open file; every sample is read once, and one that cannot be is an error."""

    def __init__(self, name: str, sound, missing: float) -> None:
        self.name, self._sound = name, sound
        self.samplerate, self.channels = sound.samplerate, sound.channels
        self.losses = Losses(name, sound.samplerate)
        if missing:
            self.losses.say(f"lacks {100 * missing:.2g} % of the bytes that its header declares")

    def close(self) -> None:
        """Close the file."""
        self._sound.close()

    def count(self) -> int:
        """Samples, as libsndfile reads the header."""
        return self._sound.frames

    @property
    def declared_seconds(self) -> float:
        """Seconds, as libsndfile reads the header."""
        return self._sound.frames / self.samplerate

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples in blocks (N,) float32 of whole seconds, the last one shorter.

        Raises:
            AudioError: the file holds less than its header promises.
        """
        width = max(1, BLOCK // 4 // (self.samplerate * self.channels)) * self.samplerate
        for first in range(0, self._sound.frames, width):
            yield self.read(first, first + width)

    def read(self, first: int, last: int | None) -> np.ndarray:
        """(N,) float32 from sample ``first`` to ``last``.

        Raises:
            AudioError: the file holds less than its header promises.
        """
        frames = self._sound.frames
        stop = frames if last is None else min(last, frames)
        if first >= stop:
            return np.zeros(0, np.float32)
        cell = self.samplerate if self.channels > 1 else 1
        begin, end = first - first % cell, min(frames, -(-stop // cell) * cell)
        mixer = Mixer(self.channels, cell)
        self._seek(begin)
        blocks = [mixer.add(self._read_block(n)) for n in _block_lengths(end - begin)]
        parts = [part for part in (*blocks, mixer.rest()) if len(part)]
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if mixer.num_cancelled:
            self.losses.say(cancelled_note(mixer.num_cancelled / self.samplerate))
        return samples[first - begin : stop - begin]

    def _seek(self, first: int) -> None:
        is_ogg = self._sound.format == "OGG"
        if first == self._sound.tell() and not (is_ogg and first == 0):
            return  # libsndfile gives a fresh Opus file's pre-skip as sound, but not after a seek
        lead = min(first, VORBIS_BLOCK) if is_ogg else 0
        self._guard(self._sound.seek, first - lead)
        if lead:  # libsndfile's first block after a seek lacks the overlap with the one before
            self._read_block(lead)

    def _read_block(self, length: int) -> np.ndarray:
        """(C, N); a short block is damage: libsndfile would read on from where it likes."""
        block = self._guard(self._sound.read, length, dtype="float32", always_2d=True)
        if len(block) < length:
            place = (self._sound.tell() / self.samplerate, self._sound.frames / self.samplerate)
            raise AudioError(
                f"{self.name} is damaged: of {place[1]:.2f} s it says it has, no more can be read "
                f"at {place[0]:.2f} s. Copy it again, or leave it out."
            )
        return block.T

    def _guard(self, function, *args, **kwargs):
        import soundfile

        try:
            return function(*args, **kwargs)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AudioError(
                f"{self.name} is damaged (libsndfile: {error}). Copy it again, or leave it out."
            ) from None


def _block_lengths(length: int) -> list[int]:
    return [min(BLOCK, length - start) for start in range(0, length, BLOCK)]


def open_sound(name: str, source: Source) -> tuple[SoundFileReader | None, str]:
    """A reader where libsndfile gives all of a file and nothing else; or why it does not.

    Raises:
        AudioError: a file that is cut off, or an Ogg file with more damage than a reader may skip.
    """
    import soundfile

    with stream_of(source) as stream:
        head = stream.read(len(ogg_pages.MAGIC))
        stream.seek(0)
        if reason := _mpeg_reason(head) or (head == ogg_pages.MAGIC and _ogg_reason(name, stream)):
            return None, reason
        declared = data_size(stream)
    missing = _check_length(name, declared)
    behind = declared.behind if declared else 0
    if declared and _hides_samples(declared):
        source, behind = _patched(source, declared), 0
    try:
        sound = soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, TypeError, OSError) as error:
        return None, " ".join(str(getattr(error, "error_string", error)).split())
    missing = max(missing, _check_log(name, sound))
    if sound.frames < UNKNOWN_LENGTH and sound.seekable() and sound.format not in INEXACT_FORMATS:
        reader = SoundFileReader(name, sound, missing)
        if behind:
            reader.losses.say(f"has {behind} bytes behind its sound, which are left out")
        return reader, ""
    sound.close()
    return None, f"inexact for this {sound.format} {sound.subtype}"


def _mpeg_reason(head: bytes) -> str:
    """Why a file that begins as MP3 and ADTS do is not for libsndfile: it talks of damage."""
    is_mpeg = head[:3] == b"ID3" or head[:1] == b"\xff" and head[1:2] >= b"\xe0"
    return "inexact for MPEG audio" if is_mpeg else ""


def _hides_samples(size: DataSize) -> bool:
    """Whether there are samples behind those that the header declares; AU has nothing else."""
    has_more = size.present and (not size.declared or size.patch[0] == AU_SIZE and size.behind)
    return bool(has_more and size.patch[1])


def _check_length(name: str, size: DataSize | None) -> float:
    """The share of the declared bytes that is missing."""
    if size is None or size.declared in (0, UNKNOWN):
        return 0.0
    return _missing(name, size.declared, size.present)


def _check_log(name: str, sound) -> float:
    """libsndfile shortens a truncated AIFF or IFF in silence; its log tells."""
    shares = [_missing(name, *map(int, pair)) for pair in TRUNCATED.findall(sound.extra_info)]
    return max(shares, default=0.0)


def _missing(name: str, declared: int, found: int) -> float:
    if declared and found < (1 - MAY_LACK) * declared:
        raise AudioError(
            f"{name} has {found} bytes of sound where its header says {declared}. "
            "It is cut off; copy it again."
        )
    return max(0.0, 1 - found / declared) if declared else 0.0


def _ogg_reason(name: str, stream: BinaryIO) -> str:
    """Why an Ogg file is not for libsndfile, which loses its place in a damaged one."""
    pages = ogg_pages.walk(stream)
    if pages.damaged_share > MAX_LOST:
        raise AudioError(
            f"{name} is damaged: {pages.num_damaged} of its {pages.num_bytes} bytes are in no "
            f"whole page (allowed {100 * MAX_LOST:g} %). Copy it again, or leave it out.",
            "damaged audio",
        )
    if pages.is_whole:
        return ""
    return "damaged pages" if pages.num_streams == 1 else f"{pages.num_streams} streams in one file"


def _patched(source: Source, size: DataSize) -> io.BytesIO:
    """A copy whose header declares the samples behind it, as a recorder should have done."""
    with stream_of(source) as stream:
        content = bytearray(stream.read())
    at, value = size.patch
    content[at : at + len(value)] = value
    return io.BytesIO(content)
