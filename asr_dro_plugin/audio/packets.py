"""What FFmpeg makes of a track's packets: frames, and the packets that gave none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asr_dro_plugin.audio.faults import AudioError

COUNTED = {"mp3", "aac"}  # frame after frame without a container: junk is one packet of any size
TAGS = (b"ID3", b"APETAGEX", b"TAG")  # what begins so is no sound
COUNTS = (b"Xing", b"Info", b"VBRI")  # nor is a frame of counts, behind a header of this size:
COUNTS_WITHIN = 64
OTHER_RATE = 10  # frames of another rate, one after the other, are no damage


@dataclass(frozen=True)
class Lost:
    """A packet of which no sound came: its time stamp, and its length in samples."""

    pts: int | None
    length: int


class Packets:
    """Decoded frames of one track, and ``Lost`` in the place of each packet that is damaged.

    Args:
        name: of the file, for messages.
        container: PyAV's, at its beginning.
        stream: the track.
        formats: FFmpeg's names of the container's format.
        holes: bytes that FFmpeg goes over in silence, by the bytes of packets before them.

    Attributes:
        num_samples: decoded so far.
        num_strange: packets before and after all sound that are none (tags, junk).
    """

    def __init__(
        self,
        name: str,
        container: Any,
        stream: Any,
        formats: set[str],
        holes: dict[int, int] | None = None,
    ) -> None:
        import av

        self._holes = dict(holes or {})
        self.name, self._container, self._stream = name, container, stream
        self._error, self._end = av.error.FFmpegError, av.error.EOFError
        self._rate = stream.codec_context.rate
        self._is_counted = bool(formats & COUNTED)
        codec = stream.codec_context.codec
        self._is_exact = codec.lossless and not codec.lossy
        self.num_samples = self.num_strange = 0
        self._frame_length, self._num_bytes, self._num_packets = 1024, 0, 0
        self._other_rate = 0

    def __iter__(self) -> Iterator[Any]:
        waiting: list[Lost] = []
        for packet in self._demuxed():
            if self.num_samples and (size := self._holes.pop(packet.pos, 0)):
                waiting.append(Lost(None, self._frame_length * self._frames_of(size)))
            frames, lost = self._decoded(packet)
            if lost and self._is_counted and not self.num_samples:
                self.num_strange += 1
            elif lost:
                waiting.append(lost)
            for frame in frames:
                yield from waiting
                waiting.clear()
                self.num_samples += frame.samples
                yield frame
        if self._is_counted:
            self.num_strange += len(waiting)
        else:
            yield from waiting

    def _demuxed(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except self._end:
            return
        except self._error as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> AudioError:
        return AudioError(
            f"{self.name} is damaged (FFmpeg: {words_of(error)}). Copy it again, or leave it out."
        )

    def _decoded(self, packet: Any) -> tuple[list, Lost | None]:
        try:
            frames = packet.decode()
        except self._end:
            return [], None
        except (self._error, ValueError) as error:
            if self._is_exact:
                raise self._damaged(error) from None
            return [], self._lost(packet)
        frames = [frame for frame in frames if frame.samples]
        if frames and frames[0].sample_rate != self._rate:
            return [], self._strange_rate(packet)
        if frames:
            self._other_rate = 0
            self._frame_length = frames[-1].samples
            self._num_bytes += packet.size
            self._num_packets += 1
        return frames, None

    def _strange_rate(self, packet: Any) -> Lost | None:
        self._other_rate += 1
        if self._other_rate == OTHER_RATE or self._is_exact:
            raise AudioError(f"{self.name} changes its sample rate midway. Convert it to WAV.")
        return self._lost(packet)

    def _lost(self, packet: Any) -> Lost | None:
        """As long as the packet says or, without a container, as its bytes would make."""
        if not packet.size:
            return None
        length = round(float((packet.duration or 0) * packet.time_base) * self._rate)
        length = length or self._frame_length
        if self._is_counted:
            length = self._frame_length * self._frames_in(packet)
        return Lost(packet.pts, length)

    def _frames_in(self, packet: Any) -> int:
        """Frames that a packet of junk stands for, by the size of those before it."""
        head = bytes(packet)[:COUNTS_WITHIN]
        if head.startswith(TAGS) or any(word in head for word in COUNTS):
            return 0
        return self._frames_of(packet.size)

    def _frames_of(self, size: int) -> int:
        mean = self._num_bytes / max(self._num_packets, 1)
        return max(1, round(size / mean)) if mean else 1


def words_of(error: Exception) -> str:
    """An FFmpeg error's own words, without the path that PyAV adds."""
    return str(getattr(error, "strerror", None) or error)
