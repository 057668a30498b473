"""How many bytes of samples an uncompressed file's header declares, and how many there are.

libsndfile takes the smaller of the two in silence, and a declared size of zero, which is what a
recorder leaves that could not go back to its header, for an empty file.
Sources: RIFF (IBM and Microsoft, 1991), EBU Tech 3306 (RF64), Sony's Wave64, Apple's CAF 1.0,
Sun's ``audio(7)``, NIST SPHERE, Creative's VOC 1.20, Audio Visual Research's AVR.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

STREAMED_SIZE = 0.99 * 0x7FFFF000  # writers to a pipe declare this or more, not knowing the size
HEAD = 1024  # bytes that are read at once: most headers, and a whole one of SPHERE
UNKNOWN = -1
AU_SIZE = 8  # offset of the declared size in an AU header
VOC_END, VOC_SOUND = 0, {1: 2, 2: 0, 9: 12}  # types of blocks; those with sound: bytes before it
AVR_HEADER = 128
W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
SAMPLE_COUNT = re.compile(rb"sample_count -i (\d+)")
SAMPLE_BYTES = re.compile(rb"sample_n_bytes -i (\d+)")
NUM_CHANNELS = re.compile(rb"channel_count -i (\d+)")


class DataSize(NamedTuple):
    """Bytes of samples, as declared and as present.

    Attributes:
        declared: ``UNKNOWN`` where the header says that it does not know.
        present: from the samples' first byte to the end of the file.
        patch: (offset, bytes) which, written into the header, make libsndfile read to the end.
        behind: bytes after the declared ones that are nothing which the format knows.
    """

    declared: int
    present: int
    patch: tuple[int, bytes] = (0, b"")
    behind: int = 0


def data_size(stream: BinaryIO) -> DataSize | None:
    """What a file's header declares, from its beginning; None for a format not known here."""
    head = stream.read(HEAD)
    for magic, read in READERS.items():
        if head.startswith(magic):
            try:
                found = read(stream, head, stream.seek(0, 2))
            except struct.error:  # a header that is cut off: the decoder says so
                return None
            return found and found._replace(declared=_known(found.declared))
    return None


def _known(declared: int) -> int:
    return UNKNOWN if declared < 0 or declared >= STREAMED_SIZE else declared


def _chunks(
    stream: BinaryIO, at: int, end: int, form: str, align: int, head: bytes = b""
) -> Iterator[tuple]:
    """(id, size, offset of the body) of each chunk; ``form`` is the struct of id and size.

    ``head`` is the file's beginning, where that is read already.
    """
    width = struct.calcsize(form)
    while at + width <= end:
        if at + width <= len(head):
            name, size = struct.unpack_from(form, head, at)
        else:
            stream.seek(at)
            name, size = struct.unpack(form, stream.read(width))
        yield name, size, at + width
        at += width + -(-max(size, 0) // align) * align


def _riff(stream: BinaryIO, head: bytes, size: int) -> DataSize | None:
    form = ">4sI" if head.startswith(b"RIFX") else "<4sI"
    large = None  # RF64 keeps the size in 64 bits, in a chunk of its own
    for name, declared, body in _chunks(stream, 12, size, form, 2, head):
        if name == b"ds64":
            stream.seek(body + 8)
            large = struct.unpack("<Q", stream.read(8))[0], body + 8
        if name == b"data" and large:
            return DataSize(large[0], size - body, (large[1], struct.pack("<Q", size - body)))
        if name == b"data":
            end = min(body + declared + declared % 2, size)
            behind = 0 if _are_chunks(stream, end, size, form) else size - end
            present = size - body if declared or behind else 0
            return DataSize(declared, present, (body - 4, b"\xff" * 4), behind)
    return None


def _are_chunks(stream: BinaryIO, at: int, end: int, form: str) -> bool:
    """Whether what is left of a file is chunks up to its end, and so no samples."""
    for name, size, body in _chunks(stream, at, end, form, 2):
        if not name.isascii() or not name.decode().isprintable():
            return False
        at = body + size + size % 2
    return at in (end, end + 1)


def _au(_stream: BinaryIO, head: bytes, size: int) -> DataSize:
    start, declared = struct.unpack_from(">II", head, 4)
    return DataSize(
        declared, max(size - start, 0), (AU_SIZE, b"\xff" * 4), max(size - start - declared, 0)
    )


def _w64(stream: BinaryIO, _head: bytes, size: int) -> DataSize | None:
    at = 40
    while at + 24 <= size:
        stream.seek(at)
        name, whole = struct.unpack("<16sQ", stream.read(24))
        if name == W64_DATA:
            return DataSize(whole - 24 if whole else UNKNOWN, size - at - 24)
        at += max(24, -(-whole // 8) * 8)
    return None


def _caf(stream: BinaryIO, _head: bytes, size: int) -> DataSize | None:
    for name, declared, body in _chunks(stream, 8, size, ">4sq", 1):
        if name == b"data":
            edits = 4  # bytes of an edit count before the samples
            return DataSize(declared - edits if declared > 0 else UNKNOWN, size - body - edits)
    return None


def _nist(_stream: BinaryIO, head: bytes, size: int) -> DataSize | None:
    found = [pattern.search(head) for pattern in (SAMPLE_COUNT, SAMPLE_BYTES, NUM_CHANNELS)]
    if None in found or b"embedded" in head:  # compressed: its bytes tell nothing
        return None
    count, width, channels = (int(each[1]) for each in found)
    start = int(head[8:16]) if head[8:16].strip().isdigit() else 1024
    return DataSize(count * width * channels or UNKNOWN, max(size - start, 0))


def _voc(stream: BinaryIO, head: bytes, size: int) -> DataSize | None:
    """Blocks of a type, three bytes of length and a body; some begin with a header of their own."""
    declared = present = 0
    at = struct.unpack_from("<H", head, 20)[0]
    while 0 < at < size - 4:
        stream.seek(at)
        kind, *length = stream.read(4)
        length, at = int.from_bytes(bytes(length), "little"), at + 4
        if kind == VOC_END:
            break
        if kind in VOC_SOUND:
            declared += max(length - VOC_SOUND[kind], 0)
            present += max(min(length, size - at) - VOC_SOUND[kind], 0)
        at += length
    return DataSize(declared, present) if declared else None


def _avr(_stream: BinaryIO, head: bytes, size: int) -> DataSize:
    """A count of frames or, by some writers, of both channels' samples: then they fit exactly."""
    is_stereo, bits = struct.unpack_from(">HH", head, 12)
    declared = struct.unpack_from(">I", head, 26)[0] * max(bits // 8, 1)
    present = max(size - AVR_HEADER, 0)
    return DataSize(declared if not is_stereo or present == declared else 2 * declared, present)


READERS = {
    b"RIFF": _riff, b"RIFX": _riff, b"RF64": _riff, b".snd": _au, b"riff.\x91\xcf\x11": _w64,
    b"caff": _caf, b"NIST_1A": _nist, b"Creative Voice File\x1a": _voc, b"2BIT": _avr,
}  # fmt: skip
