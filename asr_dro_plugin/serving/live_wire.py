"""What the front and a worker say to each other while somebody speaks, over a socket of their own.

The front sends frames: what it is, how many bytes, the bytes.  The worker sends lines of JSON with
a ``type`` (``EVENTS``).  The socket's other end is the descriptor of a job of kind ``LIVE``; both
sides may close it at any time, and the job is over.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass

LIVE = "live"  # a job's kind
AUDIO, COMMIT, CLEAR, SETTINGS = b"a", b"c", b"x", b"s"
EVENTS = ("settings", "started", "stopped", "interim", "final", "cleared", "failed")
HEADER = struct.Struct("<cI")
MOST_BYTES = 1 << 16  # of a frame


@dataclass(frozen=True)
class LiveSettings:
    """What the sound is, and what is made of it.

    Args:
        rate: Hz.
        language: as in ``protocol.Job``.
        silence: seconds of a pause that ends an item; None where a commit alone does.
        threshold: probability of speech, 0..1.
    """

    rate: int = 24000
    language: str | list[str] | None = None
    silence: float | None = None
    threshold: float = 0.5


def frames(kind: bytes, payload: bytes = b"") -> Iterator[bytes]:
    """The bytes of one message, in as many frames as it takes."""
    for start in range(0, len(payload) or 1, MOST_BYTES):
        piece = payload[start : start + MOST_BYTES]
        yield HEADER.pack(kind, len(piece)) + piece


def settings_frame(settings: LiveSettings) -> bytes:
    """A frame of settings; what was said before it is over."""
    return next(frames(SETTINGS, json.dumps(asdict(settings)).encode()))


class FrameReader:
    """Bytes in any pieces, frames out."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._bytes += data

    def next(self) -> tuple[bytes, bytes] | None:
        """The next whole frame: what it is, and its bytes."""
        if len(self._bytes) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self._bytes)
        end = HEADER.size + length
        if len(self._bytes) < end:
            return None
        payload = bytes(self._bytes[HEADER.size : end])
        del self._bytes[:end]
        return kind, payload
