"""What a container says of its sound beside the sound: how long it is, and whether it is whole."""

import re
from functools import cached_property
from typing import Any, BinaryIO

from asr_dro_plugin.audio import adts, matroska, mpegts, ogg_pages
from asr_dro_plugin.audio.sources import Source, stream_of

# FFmpeg's formats with time stamps of their own; the others' are a count of what was decoded
STAMPED = {"matroska", "mov", "mpegts", "mpeg", "flv", "avi", "asf", "ogg", "flac", "nut", "mxf"}
GUESSED = {"mpegts", "mpeg"}  # of those, whose length FFmpeg takes from the file's last stamps
HEADED = {"flv", "asf", "wv"}  # whose headers say how long all is: of one track, how long it is
TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # DURATION of a Matroska track
FRAME_COUNTS = (b"Xing", b"Info", b"VBRI")  # in the first frame of an MP3
ID3_HEADER = 10  # bytes before an ID3v2 tag


class Declared:
    """The word of one open container on one of its tracks.

    Args:
        source: the file.
        container: PyAV's.
        stream: the track.
        formats: FFmpeg's names of the container's format.
    """

    def __init__(self, source: Source, container: Any, stream: Any, formats: set[str]) -> None:
        self._source, self._formats = source, formats
        self._rate = stream.codec_context.rate
        self.counts_alone = not formats & STAMPED
        self._seconds = self._length(container, stream)
        self._container_seconds = container.duration / 1e6 if container.duration else None

    @property
    def seconds(self) -> float | None:
        """Seconds of the recording; None where nothing but the bit rate tells of them."""
        if self._seconds is None and self._formats & (STAMPED - GUESSED):
            return self._container_seconds
        return self._seconds

    def _length(self, container: Any, stream: Any) -> float | None:
        """Seconds from the container's beginning to the track's end, where a header tells."""
        if "mov" in self._formats and stream.duration:
            return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
        if "mp3" in self._formats and stream.duration and self._has_frame_count():
            return float(stream.duration * stream.time_base)
        if "matroska" in self._formats:
            tags = (value for key, value in stream.metadata.items() if key.startswith("DURATION"))
            if found := next(filter(None, map(TAG.match, tags)), None):
                hours, minutes, seconds = map(float, found.groups())
                return 3600 * hours + 60 * minutes + seconds
        if self._formats & {"matroska", *HEADED} and len(container.streams) == 1:
            return container.duration / 1e6 if container.duration else None
        return None

    def _has_frame_count(self) -> bool:
        with stream_of(self._source) as file:
            return any(word in _first_frame(file) for word in FRAME_COUNTS)

    @cached_property
    def pages(self) -> ogg_pages.OggPages | None:
        """The pages of an Ogg file; None of another."""
        if "ogg" not in self._formats:
            return None
        with stream_of(self._source) as file:
            return ogg_pages.walk(file)

    @cached_property
    def is_whole(self) -> bool:
        """Whether the container's own structure is whole, where that can be checked."""
        if self.pages:
            return not self.pages.num_damaged and not self.pages.num_missing
        for name, check in {"matroska": matroska.is_whole, "mpegts": mpegts.is_whole}.items():
            if name in self._formats:
                with stream_of(self._source) as file:
                    return check(file)
        return "flac" not in self._formats

    @property
    def is_chain(self) -> bool:
        """Whether several streams follow each other in the file, each with stamps of its own."""
        return bool(self.pages) and self.pages.num_streams > 1

    def holes(self) -> dict[int, int]:
        """Bytes that are no frame of a bare AAC file, by the bytes of frames before them."""
        if "aac" not in self._formats:
            return {}
        with stream_of(self._source) as file:
            return adts.holes(file.read())

    def short_of(self, end: int, num_samples: int) -> int:
        """Samples that are missing behind sample ``end`` of which ``num_samples`` were decoded."""
        if self._seconds is not None:
            return max(0, round(self._seconds * self._rate) - end)
        if self.pages:
            whole = self.pages.num_bytes - self.pages.num_damaged
            return round(self.pages.num_behind / max(whole, 1) * num_samples)
        return 0


def _first_frame(file: BinaryIO) -> bytes:
    """The beginning of an MP3's first frame, behind its tag."""
    head = file.read(ID3_HEADER)
    start = 0
    if head[:3] == b"ID3" and len(head) == ID3_HEADER:
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        start = ID3_HEADER + size
    file.seek(start)
    return file.read(256)
