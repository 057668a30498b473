"""Clients of a service on 127.0.0.1, many at once in one event loop; standard library alone."""

import asyncio
import json
import time
from typing import NamedTuple

BOUNDARY = "sixteen-thousand-hertz"


class Answer(NamedTuple):
    """What came back, and after how many seconds from the first byte sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self):
        return json.loads(self.body)


def form(content: bytes, filename: str = "a.wav", **fields: str) -> bytes:
    """A multipart body with one file; the name goes in as it is."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
             for name, value in fields.items()]  # fmt: skip
    head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"'
            "\r\nContent-Type: application/octet-stream\r\n\r\n")  # fmt: skip
    before = "".join(parts) + head
    return before.encode("utf-8", "surrogateescape") + content + f"\r\n--{BOUNDARY}--\r\n".encode()


async def post(
    port: int, content: bytes, path: str = "/transcribe", filename: str = "a.wav", **fields: str
) -> Answer:
    """Upload one recording."""
    body = form(content, filename, **fields)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return await request(port, "POST", path, body, kind)


async def get(port: int, path: str) -> Answer:
    """Ask for a page."""
    return await request(port, "GET", path)


async def request(
    port: int, method: str, path: str, body: bytes = b"", kind: str = "text/plain"
) -> Answer:
    """One request on a connection of its own; a refusal before the body's end is read, too."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
    try:
        sending = asyncio.create_task(_send(writer, head.encode() + body))
        answer = await reader.read()
        sending.cancel()
    finally:
        writer.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        rest = _unchunked(rest)
    return Answer(int(first.split()[1]), headers, rest, time.monotonic() - began)


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except ConnectionError:
        pass  # refused early; the answer says why


def _unchunked(data: bytes) -> bytes:
    made = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        made, data = made + data[:length], data[length + 2 :]
    return made


async def patient(port: int, content: bytes, tries: int = 100, **fields: str) -> Answer:
    """As ``post``, and again after ``Retry-After`` where the queue is full."""
    for _ in range(tries):
        answer = await post(port, content, **fields)
        if answer.status != 503:
            break
        await asyncio.sleep(min(float(answer.headers["retry-after"]), 60))
    return answer
