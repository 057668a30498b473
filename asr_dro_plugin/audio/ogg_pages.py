"""The pages of an Ogg file, checked: which bytes are whole, and how many streams follow another.

Readers go over damaged pages in silence, and libsndfile stops at the end of the first stream.
Source: RFC 3533.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAGIC = b"OggS"
HEADER = 27  # bytes before the table of segments
FIRST, BEGINS = 26, 2  # offset of the number of segments; flag of a stream's first page
LONGEST = HEADER + 255 + 255 * 255  # bytes of a page
WINDOW = 1 << 20  # bytes read at a time
IN_VAIN = 64 << 20
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggPages(NamedTuple):
    """What a walk over all pages found.

    Attributes:
        num_bytes: of the file.
        num_damaged: bytes that belong to no whole page,
        num_behind: those of them that come after the last whole one.
        num_missing: whole pages that are not there, by their numbers.
        num_streams: first pages of streams.
    """

    num_bytes: int
    num_damaged: int
    num_behind: int
    num_missing: int
    num_streams: int

    @property
    def is_whole(self) -> bool:
        """Whether this is one stream with all its pages."""
        return not self.num_damaged and not self.num_missing and self.num_streams == 1

    @property
    def damaged_share(self) -> float:
        """Of the bytes, 0..1."""
        return self.num_damaged / max(self.num_bytes, 1)


def walk(stream: BinaryIO) -> OggPages | None:
    """Check every page, from the beginning; None where the file does not begin with one."""
    if stream.read(len(MAGIC)) != MAGIC:
        return None
    size = stream.seek(0, 2)
    stream.seek(0)
    whole = missing = streams = end = 0
    expected: dict[bytes, int] = {}
    for at, page in whole_pages(stream):
        serial, number = page[14:18], int.from_bytes(page[18:22], "little")
        streams += bool(page[5] & BEGINS)
        if not page[5] & BEGINS:
            missing += max(0, number - expected.get(serial, number))
        expected[serial] = number + 1
        whole += len(page)
        end = at + len(page)
    return OggPages(size, size - whole, size - end, missing, streams)


def whole_pages(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of each page, in the memory of one.

    What looks like many pages and is none costs time: after ``IN_VAIN`` bytes of such it ends.
    """
    content, base, at, in_vain, is_end = b"", 0, 0, 0, False
    while in_vain < IN_VAIN:
        if not is_end and len(content) - at < LONGEST:
            more = stream.read(WINDOW)
            content, base, at, is_end = content[at:] + more, base + at, 0, not more
            continue
        start = content.find(MAGIC, at)
        if start < 0 and is_end:
            return
        if start != at:  # at the window's end there may be the beginning of one
            at = start if start > 0 else len(content) - len(MAGIC) + 1
            continue
        page = content[at : at + _length(content, at)]
        if len(page) > HEADER and checksum(page) == int.from_bytes(page[22:26], "little"):
            yield base + at, page
            at += len(page)
        else:
            in_vain += len(page)
            at += 1


def _length(content: bytes, at: int) -> int:
    table = content[at + HEADER : at + HEADER + content[at + FIRST]] if (
        at + HEADER <= len(content)) else b""  # fmt: skip
    return HEADER + len(table) + sum(table)


def checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page, whose own field counts as zero.

    Ogg takes the same polynomial as zlib with the bits in the other order.
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(MIRRORED)
    return int(f"{zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)
