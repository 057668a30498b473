"""The frames of a bare AAC file (ADTS), and the holes between them.

FFmpeg goes over what is no frame without a word and without a stamp of its own.  Source: ISO/IEC
14496-3, 1.A.2.2.
"""

HEADER = 7  # bytes
MAGIC = b"\xff"


def holes(content: bytes) -> dict[int, int]:
    """Bytes that are no frame: behind so many bytes of frames -> how many."""
    found: dict[int, int] = {}
    at = skipped = 0
    while 0 <= at < len(content) - HEADER:
        if length := _frame(content, at):
            at += length
            continue
        start = at
        while at >= 0 and not _two_frames(content, at):
            at = content.find(MAGIC, at + 1)
        if at >= 0:
            found[start - skipped] = at - start
            skipped += at - start
    return found


def _frame(content: bytes, at: int) -> int:
    """Bytes of the frame that begins here; 0 where none does."""
    head = content[at : at + HEADER]
    if len(head) < HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= HEADER else 0


def _two_frames(content: bytes, at: int) -> bool:
    """Whether a frame begins here and another one, or the end, follows: no accident."""
    length = _frame(content, at)
    behind = at + length
    return bool(length) and (behind >= len(content) or bool(_frame(content, behind)))
