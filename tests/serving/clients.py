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
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    kind: str = "text/plain",
    close: bool = False,
) -> Answer:
    """One request on a connection of its own; a refusal before the body's end is read, too.

    Args:
        close: whether ``Connection: close`` is asked for, as proxies do.
    """
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    head = (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            + ("Connection: close\r\n" if close else "") + "\r\n")  # fmt: skip
    sending = asyncio.create_task(_send(writer, head.encode() + body))
    try:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        rest = await _body(reader, headers)
    finally:
        sending.cancel()
        writer.close()
    return Answer(int(first.split()[1]), headers, rest, time.monotonic() - began)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers["content-length"]))
    made = b""
    while size := int(await reader.readline(), 16):
        made += await reader.readexactly(size)
        await reader.readline()
    return made


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except ConnectionError:
        pass  # refused early; the answer says why


async def patient(port: int, content: bytes, tries: int = 100, **fields: str) -> Answer:
    """As ``post``, and again after ``Retry-After`` where the queue is full."""
    for _ in range(tries):
        answer = await post(port, content, **fields)
        if answer.status != 503:
            break
        await asyncio.sleep(min(float(answer.headers["retry-after"]), 60))
    return answer
