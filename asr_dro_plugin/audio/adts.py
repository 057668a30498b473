"""The frames of a bare AAC file (ADTS), and the holes between them.

FFmpeg goes over what is no frame without a word and without a stamp of its own.  Source: ISO/IEC
14496-3, 1.A.2.2.
"""

HEADER = 7  # bytes
MAGIC = b"\xff"
FIXED = bytes.fromhex("ffffffc0")  # bits that are the same in every frame of a file


def holes(content: bytes) -> dict[int, int]:
    """Bytes that are no frame: behind so many bytes of frames -> how many."""
    at = _next_frames(content, 0)
    fixed, found, skipped = _fixed(content, at), {}, 0
    while 0 <= at < len(content) - HEADER:
        if (length := _frame(content, at)) and _fixed(content, at) == fixed:
            at += length
            continue
        start, at = at, _next_frames(content, at + 1)
        if at >= 0:
            found[start - skipped] = at - start
            skipped += at - start
    return found


def _fixed(content: bytes, at: int) -> bytes:
    return bytes(a & b for a, b in zip(content[at : at + len(FIXED)], FIXED, strict=False))


def _frame(content: bytes, at: int) -> int:
    """Bytes of the frame that begins here; 0 where none does."""
    head = content[at : at + HEADER]
    if len(head) < HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= HEADER else 0


def _next_frames(content: bytes, at: int) -> int:
    """The next place where a frame and another one, or the end, follow each other; -1: none."""
    while (at := content.find(MAGIC, at)) >= 0:
        behind = at + (_frame(content, at) or len(content) + 1)
        if behind == len(content) or _frame(content, behind):
            return at
        at += 1
    return -1
