"""Whether a Matroska or WebM file is whole: its elements follow each other, up to its end.

FFmpeg looks for the next cluster in silence where one is damaged.  Source: RFC 9559, RFC 8794.
"""

from typing import BinaryIO

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
IN_SEGMENT = {
    CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469,
    0xEC, 0xBF,
}  # fmt: skip
IN_CLUSTER = {0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF, 0xEC, 0xBF}
UNKNOWN = -1


def is_whole(stream: BinaryIO) -> bool:
    """Whether every element of the file is one that may be there, and the last ends with it."""
    size = stream.seek(0, 2)
    at, end = 0, size
    while at < end:
        stream.seek(at)
        name, length, head = _element(stream.read(12))
        if name in (SEGMENT, CLUSTER):  # look inside
            if length != UNKNOWN and at + head + length > size:
                return False
            at += head
        elif name == EBML or name in IN_SEGMENT or name in IN_CLUSTER:
            if length == UNKNOWN or at + head + length > size:
                return False
            at += head + length
        else:
            return False
    return True


def _element(head: bytes) -> tuple[int, int, int]:
    """(id, length of the body or UNKNOWN, length of the head); an id of 0 is none."""
    name_length = _width(head[:1])
    length_at = head[name_length : name_length + 1]
    width = _width(length_at)
    if not 1 <= name_length <= 4 or not width or len(head) < name_length + width:
        return 0, 0, 0
    value = int.from_bytes(head[name_length : name_length + width])
    value &= (1 << 7 * width) - 1
    name = int.from_bytes(head[:name_length])
    is_unknown = value == (1 << 7 * width) - 1
    return name, UNKNOWN if is_unknown else value, name_length + width


def _width(first: bytes) -> int:
    """Bytes of a number of variable length, by its first byte; 0 if it is none."""
    return 9 - first[0].bit_length() if first and first[0] else 0
