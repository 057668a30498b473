"""A multipart form (RFC 7578) read as it comes: fields bounded, the file into an unlinked one.

Nothing of an upload stays in memory, the file has no name on the disk, and the name that a client
gave it is only ever echoed.
"""

import asyncio
import contextlib
import errno
import re
import tempfile
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from asr_dro_plugin.errors import NO_ROOM, UserError
from asr_dro_plugin.serving.errors import ApiError, ClientGone, bad_request
from asr_dro_plugin.serving.settings import MEGABYTE, ServiceSettings

FORM = "multipart/form-data"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 65_536  # of one field, such as a prompt
MAX_ENVELOPE = MEGABYTE  # bytes of a body beside its file
LONGEST_NAME = 255  # characters of a file name that is echoed
WHOLE_BODY = 10  # times body_timeout, for all of it
BRACKETS = re.compile(r"\[\d{0,3}\]$")  # of lists; PHP's clients number the items
NO_FILE = "There is no field 'file'. With curl: -F file=@talk.wav"


@dataclass
class Form:
    """A form's fields and its file.

    Attributes:
        fields: name, without the ``[]`` of lists, -> its values in order.
        file: the upload at its beginning; None where there is none.
        filename: the client's name for it, made harmless; for the answer alone.
        size: bytes of the file.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    file: BinaryIO | None = None
    filename: str = ""
    size: int = 0

    def one(self, name: str) -> str | None:
        """The value of a field that may be there once.

        Raises:
            ApiError: it is there more than once.
        """
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise bad_request(f"'{name}' is given {len(values)} times. Give it once.", name)
        return values[0] if values else None


def boundary_of(request: Request, settings: ServiceSettings) -> bytes:
    """The boundary of a request's form; before anything of its body is read.

    Raises:
        ApiError: no form (415), no boundary (400), a body that says it is too large (413).
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind.decode("latin-1") != FORM:
        raise ApiError(415, f"Send the audio as {FORM} with a field 'file'. "
                       "With curl: -F file=@talk.wav", "unsupported_media_type")  # fmt: skip
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ApiError(415, "Send the form uncompressed.", "unsupported_media_type")
    if not options.get(b"boundary"):
        raise bad_request(f"Content-Type {FORM} has no boundary. Let the client set this header.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > settings.max_upload_bytes + MAX_ENVELOPE:
        raise too_large(settings)
    return options[b"boundary"]


def too_large(settings: ServiceSettings) -> ApiError:
    """413 that says how much may be sent."""
    message = f"The upload is larger than {settings.max_upload_mb:g} MB. Send it compressed (Opus, "
    return ApiError(413, message + "MP3) or in pieces.", "file_too_large", "file")


@contextlib.asynccontextmanager
async def reading(request: Request, settings: ServiceSettings) -> AsyncIterator[Form]:
    """The form of a request; its file is closed behind the block.

    Raises:
        ApiError: 4xx for a form that is not whole, too large, too slow or no form at all; 503
            where the disk has no room.
        ClientGone: the client left before the end.
    """
    parts = _Parts(settings)
    try:
        await _feed(request, MultipartParser(boundary_of(request, settings), parts.callbacks),
                    settings)  # fmt: skip
        yield parts.whole_form()
    except FormParserError:
        raise bad_request("The body is no valid multipart form. Let the client build it.",
                          code="invalid_form") from None  # fmt: skip
    except OSError as error:
        if error.errno not in {*NO_ROOM, errno.EFBIG}:
            raise
        raise ApiError(503, "The service has no room for uploads.", "no_room",
                       retry_after=60) from None  # fmt: skip
    finally:
        if parts.form.file is not None:
            with contextlib.suppress(OSError):  # what could not be written is no loss
                parts.form.file.close()


async def _feed(request: Request, parser: MultipartParser, settings: ServiceSettings) -> None:
    """Give the body to the parser, byte counts and clocks watched."""
    most, total = settings.max_upload_bytes + MAX_ENVELOPE, 0
    try:
        async with asyncio.timeout(WHOLE_BODY * settings.body_timeout):
            while True:
                message = await asyncio.wait_for(request.receive(), settings.body_timeout)
                if message["type"] == "http.disconnect":
                    raise ClientGone
                total += len(message.get("body", b""))
                if total > most:
                    raise too_large(settings)
                parser.write(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        raise ApiError(408, f"The upload stood still for {settings.body_timeout:g} s or took "
                       f"{WHOLE_BODY} times as long.", "upload_timeout",
                       headers={"Connection": "close"}) from None  # fmt: skip


def check_room() -> None:
    """Refuse to start where no upload could be kept.

    Raises:
        UserError: no folder for temporary files can be written, as in a container without tmpfs.
    """
    try:
        with tempfile.TemporaryFile(prefix="asr-dro-") as file:
            file.write(bytes(MAX_FIELD_BYTES))
    except OSError as error:
        raise UserError(
            f"Uploads cannot be kept: {error.strerror}. Mount a tmpfs at /tmp, or name a folder "
            "that can be written in TMPDIR."
        ) from None


class _Parts:
    """What the parser calls back; the parts of one form."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings, self.form, self.ended = settings, Form(), False
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._is_file, self._data, self._count = "", False, bytearray(), 0
        self.callbacks = {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise bad_request("A part of the form has no name.", code="invalid_form")
        self._name = BRACKETS.sub("", _text(options[b"name"], "The name of a field"))
        self._count += 1
        if self._count > MAX_FIELDS:
            raise bad_request(f"The form has more than {MAX_FIELDS} fields.", code="invalid_form")
        self._is_file = self._name == "file" and (b"filename" in options or self._is_audio())
        self._data.clear()
        if not self._is_file and b"filename" in options:
            raise bad_request(f"'{_shown(self._name)}' is no field for a file. Name it 'file'.",
                              _shown(self._name))  # fmt: skip
        if self._is_file:
            self._begin_file(options.get(b"filename", b""))

    def _is_audio(self) -> bool:
        """Whether a part without a file name says that it is no text all the same."""
        kind, _ = parse_options_header(self._headers.get(b"content-type"))
        return bool(kind) and not kind.startswith(b"text/")

    def _begin_file(self, name: bytes) -> None:
        if self.form.file is not None:
            raise bad_request("There are two files. Send one a request.", "file")
        self.form.file = tempfile.TemporaryFile(prefix="asr-dro-")  # noqa: SIM115  closed by reading
        self.form.filename = clean_name(name.decode("utf-8", "replace"))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            if len(self._data) + end - start > MAX_FIELD_BYTES:
                raise ApiError(413, f"'{_shown(self._name)}' is longer than {MAX_FIELD_BYTES} "
                               "bytes.", "field_too_large", _shown(self._name))  # fmt: skip
            self._data.extend(data[start:end])
            return
        self.form.size += end - start
        if self.form.size > self.settings.max_upload_bytes:
            raise too_large(self.settings)
        self.form.file.write(memoryview(data)[start:end])

    def _part_end(self) -> None:
        if self._is_file:
            self.form.file.seek(0)  # which flushes
            return
        if self._name == "file":
            raise bad_request(
                "'file' came as a text, not as a file. With curl: -F file=@talk.wav, with the @",
                "file",
            )
        value = _text(bytes(self._data), f"'{_shown(self._name)}'")
        self.form.fields.setdefault(self._name, []).append(value)

    def _end(self) -> None:
        self.ended = True

    def whole_form(self) -> Form:
        """The form, once the body is read.

        Raises:
            ApiError: it breaks off, has no file, or an empty one.
        """
        if not self.ended:
            raise bad_request("The form breaks off: its last boundary is missing. Send it again.",
                              code="invalid_form")  # fmt: skip
        if self.form.file is None:
            raise bad_request(NO_FILE, "file", "missing_required_parameter")
        if not self.form.size:
            raise bad_request("The file is empty.", "file", "invalid_audio")
        return self.form


def clean_name(name: str) -> str:
    """A client's file name fit to be echoed: its last part, printable, bounded."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = (char for char in last if unicodedata.category(char)[0] != "C")
    return "".join(kept).strip()[:LONGEST_NAME]


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request(f"{what} is not UTF-8.", code="invalid_form") from None


def _shown(name: str) -> str:
    """A field's name, short enough for a message."""
    return clean_name(name)[:40]
