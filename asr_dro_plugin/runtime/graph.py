"""What an ONNX file is, read as data before any runtime parses it.

A file from a stranger is walked over as protobuf (protobuf.dev, "Encoding"): nothing is built, the
weights are stepped over, and what a model of ours never has is refused: data outside of the folder,
operators that are not ONNX's, tensors that declare more than they hold.  The numbers of the fields
are those of onnx.proto.
"""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from asr_dro_plugin.errors import UserError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups (3, 4) are of the past
MOST_FIELDS = 5_000_000
MOST_DEPTH = 16  # of graphs inside nodes, and of tensors inside those
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
OUTSIDE = {"EPContext"}  # operators that read a file of their own
DAMAGED = "is damaged: it is cut off, or no ONNX file"


class External(NamedTuple):
    """Weights that lie in another file."""

    location: str
    offset: int
    length: int | None


@dataclass
class GraphFacts:
    """What was found.

    Attributes:
        ir_version: of the file's format.
        opsets: domain -> version.
        metadata: ``metadata_props``.
        inputs, outputs: name -> (kind of element, sizes; None for an open one).
        external: weights in other files.
    """

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, tuple[int, list[int | None]]] = field(default_factory=dict)
    outputs: dict[str, tuple[int, list[int | None]]] = field(default_factory=dict)
    external: list[External] = field(default_factory=list)


class NoGraph(UserError):
    """A file that is no ONNX graph, or none that we read."""


def graph_facts(source: str | os.PathLike | bytes, where: str) -> GraphFacts:
    """The facts of an ONNX file, or of its bytes.

    Raises:
        UserError: it is damaged, or holds what is never in a model of ours; names ``where``.
    """
    if isinstance(source, bytes):
        return _Walk(memoryview(source), where).facts
    with open(source, "rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            raise NoGraph(f"{where} is an empty file. Get the model again.")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                return _Walk(view, where).facts
            finally:
                view.release()


class _Walk:
    def __init__(self, data: memoryview, where: str) -> None:
        self._data, self._where, self._left = data, where, MOST_FIELDS
        self.facts = GraphFacts()
        self._model(0, len(data))
        if not self.facts.outputs or not self.facts.opsets:
            raise self._refused("is no ONNX graph")

    def _refused(self, fault: str) -> NoGraph:
        return NoGraph(f"{self._where} {fault}. It is not loaded: get the model again.")

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(number, wire type, begin, end) of each field; of a varint its value and 0."""
        at = start
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise self._refused("has more parts than any model")
            key, at = self._varint(at, end)
            number, wire = key >> 3, key & 7
            if not number:
                raise self._refused(DAMAGED)
            if wire == VARINT:
                value, at = self._varint(at, end)
                yield number, wire, value, 0
                continue
            length = {FIXED64: 8, FIXED32: 4}.get(wire)
            if wire == BYTES:
                length, at = self._varint(at, end)
            if length is None or length > end - at:
                raise self._refused(DAMAGED)
            yield number, wire, at, at + length
            at += length

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self._data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
        raise self._refused(DAMAGED)

    def _text(self, wire: int, begin: int, end: int) -> str:
        if wire != BYTES:
            raise self._refused("is damaged: a number stands where a text should")
        try:
            return str(self._data[begin:end], "utf-8")
        except UnicodeDecodeError:
            raise self._refused("is damaged: it holds text that is no UTF-8") from None

    def _parts(self, wire: int, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        if wire != BYTES:
            raise self._refused("is damaged: a number stands where a part should")
        return self._fields(begin, end)

    def _model(self, start: int, stop: int) -> None:
        for number, *value in self._fields(start, stop):
            if number == 1:
                self.facts.ir_version = value[1]
            elif number == 7:
                self._graph(*value, depth=0)
            elif number == 8:
                said = self._pair(*value, kinds=(str, int))
                self.facts.opsets[said.get(1, "")] = said.get(2, 0)
            elif number == 14:
                said = self._pair(*value, kinds=(str, str))
                self.facts.metadata[said.get(1, "")] = said.get(2, "")
            elif number == 25:  # functions of the model's own
                for inner, *node in self._parts(*value):
                    if inner == 7:
                        self._node(*node, depth=1)

    def _pair(self, wire: int, begin: int, end: int, kinds: tuple[type, type]) -> dict:
        """The fields 1 and 2 of a part."""
        found = {}
        for number, *value in self._parts(wire, begin, end):
            if number in (1, 2):
                found[number] = self._text(*value) if kinds[number - 1] is str else value[1]
        return found

    def _graph(self, wire: int, begin: int, end: int, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise self._refused("has graphs in graphs, deeper than any model")
        for number, *value in self._parts(wire, begin, end):
            if number == 1:
                self._node(*value, depth=depth)
            elif number == 5:
                self._tensor(*value)
            elif number == 15:
                raise self._refused("holds sparse weights, which no export of asr-dro has")
            elif number in (11, 12) and not depth:
                name, kind, sizes = self._declared(*value)
                (self.facts.inputs if number == 11 else self.facts.outputs)[name] = kind, sizes

    def _node(self, wire: int, begin: int, end: int, depth: int) -> None:
        domain = operator = ""
        for number, *value in self._parts(wire, begin, end):
            if number == 4:
                operator = self._text(*value)
            elif number == 7:
                domain = self._text(*value)
            elif number == 5:
                self._attribute(*value, depth=depth)
        if domain not in DOMAINS or operator in OUTSIDE:
            raise self._refused(f"asks for the operator '{domain}:{operator}'"[:120])

    def _attribute(self, wire: int, begin: int, end: int, depth: int) -> None:
        for number, *value in self._parts(wire, begin, end):
            if number in (5, 10):
                self._tensor(*value)
            elif number in (6, 11):
                self._graph(*value, depth=depth + 1)
            elif number in (22, 23):
                raise self._refused("holds sparse weights, which no export of asr-dro has")

    def _tensor(self, wire: int, begin: int, end: int) -> None:
        """One tensor's weights are here, or in another file: no more than it declares is made."""
        elements, present, entries = 1, 0, {}
        for number, kind, first, last in self._parts(wire, begin, end):
            if number == 1:
                for size in [first] if kind == VARINT else self._packed(first, last):
                    elements *= size
            elif number == 13:
                said = self._pair(kind, first, last, (str, str))
                entries[said.get(1, "")] = said.get(2, "")
            elif number in (4, 5, 6, 7, 9, 10, 11):
                present += 1 if number == 6 else last - first if kind == BYTES else 8
        if "location" in entries:
            self.facts.external.append(self._external(entries))
        elif entries or elements > 2 * present:  # two numbers a byte at most
            raise self._refused("has weights that declare more than they hold")

    def _packed(self, at: int, end: int) -> Iterator[int]:
        while at < end:
            value, at = self._varint(at, end)
            yield value

    def _external(self, entries: dict[str, str]) -> External:
        numbers = [entries.get(key) for key in ("offset", "length")]
        if not all(each is None or each.isascii() and each.isdecimal() for each in numbers):
            raise self._refused("says of weights in another file where by no number")
        offset, length = (None if each is None else int(each[:20]) for each in numbers)
        return External(entries["location"], offset or 0, length)

    def _declared(self, wire: int, begin: int, end: int) -> tuple[str, int, list[int | None]]:
        """Name, kind of element and sizes of an input or output."""
        name, kind, sizes = "", 0, []
        for number, *value in self._parts(wire, begin, end):
            if number == 1:
                name = self._text(*value)
            elif number == 2:
                for inner, *tensor in self._parts(*value):
                    if inner == 1:
                        kind, sizes = self._tensor_type(*tensor)
        return name, kind, sizes

    def _tensor_type(self, wire: int, begin: int, end: int) -> tuple[int, list[int | None]]:
        kind, sizes = 0, []
        for number, *value in self._parts(wire, begin, end):
            if number == 1:
                kind = value[1]
            elif number == 2:
                sizes = [self._size(*dim) for one, *dim in self._parts(*value) if one == 1]
        return kind, sizes

    def _size(self, wire: int, begin: int, end: int) -> int | None:
        found = [value[1] for number, *value in self._parts(wire, begin, end) if number == 1]
        return found[-1] if found else None
