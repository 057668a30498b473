"""Events of a recording as an answer that grows: OpenAI's server-sent events, or lines of JSON.

The answer begins with the first event, so that what is wrong with a recording has a status of its
own; a recording that waits for long gets its answer begun before, with signs of life for proxies.
"""

import asyncio
import contextlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from starlette.responses import StreamingResponse

from asr_dro_plugin.serving.answers import languages, text_of
from asr_dro_plugin.serving.errors import OUR_FAULT, of_failed
from asr_dro_plugin.serving.protocol import Done, Event, Failed, Job, Partial, encode
from asr_dro_plugin.serving.service import Upload, cancelled, unless_gone
from asr_dro_plugin.text.normalizers import split_tag

PATIENCE = 10.0  # seconds without an event, after which a sign of life is sent
log = logging.getLogger("asr_dro.serve")


class AbsWriter(ABC):
    """How events are written.

    Args:
        upload: makes the last event a transcript.

    Attributes:
        media_type: of the answer.
        sign_of_life: bytes without a meaning.
        end: bytes behind a recording that is done.
    """

    media_type: str
    sign_of_life: bytes
    end: bytes = b""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload

    @abstractmethod
    def write(self, event: Event) -> bytes:
        """One event; none where it says nothing new."""


class JsonLines(AbsWriter):
    """Each event as ``protocol.encode`` writes it; an empty line is a sign of life.

    The text so far is left out where new words tell it: of a long recording it would be most of
    what is sent, again and again.
    """

    media_type, sign_of_life = "application/x-ndjson", b"\n"

    def write(self, event: Event) -> bytes:
        if isinstance(event, Done):
            self.upload.finished(event)
        elif isinstance(event, Partial) and event.words:
            event = replace(event, text="")
        return encode(event)


class ServerSentEvents(AbsWriter):
    """OpenAI's ``transcript.text.delta`` and ``transcript.text.done``.

    The deltas put together are the text of ``done``, of which there is one.
    """

    media_type, sign_of_life, end = "text/event-stream", b": waiting\n\n", b"data: [DONE]\n\n"

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload)
        self.sent = ""

    def write(self, event: Event) -> bytes:
        if isinstance(event, Failed):
            return _sse(of_failed(event).body)
        if isinstance(event, Partial):
            return self._delta(split_tag(event.text)[1])
        transcript = self.upload.finished(event)
        text = text_of(transcript)
        done = {"type": "transcript.text.done", "text": text, "languages": languages(transcript)}
        return self._delta(text) + _sse(done)

    def _delta(self, text: str) -> bytes:
        """What is new of the text; nothing where it is not what was sent and more."""
        new = text[len(self.sent) :] if text.startswith(self.sent) else ""
        self.sent += new
        return _sse({"type": "transcript.text.delta", "delta": new}) if new else b""


async def event_stream(
    upload: Upload, job: Job, writer: AbsWriter, headers: Mapping[str, str]
) -> StreamingResponse:
    """The answer, begun with the first event or after ``PATIENCE``.

    Raises:
        ApiError: the first event says that there is no transcript.
        ClientGone: nobody waits for it any more.
    """
    events = upload.events(job)
    first = asyncio.ensure_future(anext(events))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(events.aclose)
        stack.push_async_callback(cancelled, first)
        await unless_gone(upload.request, asyncio.wait({first}, timeout=PATIENCE))
        if first.done() and isinstance(first.result(), Failed):
            raise of_failed(first.result())
        kept = upload.keep()
        kept.push_async_exit(stack.pop_all())
        return _EventStream(_body(events, first, writer), kept, writer.media_type, headers)


async def _body(
    events: AsyncIterator[Event], pending: asyncio.Future, writer: AbsWriter
) -> AsyncIterator[bytes]:
    try:
        while True:
            await asyncio.wait({pending}, timeout=PATIENCE)
            if not pending.done():
                yield writer.sign_of_life
                continue
            event = _event_of(pending)
            if written := writer.write(event):
                yield written
            if not isinstance(event, Partial):
                break
            pending = asyncio.ensure_future(anext(events))
        if isinstance(event, Done):
            yield writer.end
    finally:
        await cancelled(pending)


def _event_of(done: asyncio.Future) -> Event:
    """The event that came; a fault of ours is one, too, for the answer has begun."""
    try:
        return done.result()
    except Exception:
        log.exception("a fault amid the events of a recording")
        return Failed(OUR_FAULT.status, OUR_FAULT.code, OUR_FAULT.message)


class _EventStream(StreamingResponse):
    """Closes what it was given once it is sent, or cannot be any more."""

    def __init__(
        self,
        body: AsyncIterator[bytes],
        kept: contextlib.AsyncExitStack,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(body, headers={**headers, "X-Accel-Buffering": "no"},
                         media_type=media_type)  # fmt: skip
        self.body_of_events, self.kept = body, kept

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        async with self.kept, contextlib.aclosing(self.body_of_events):
            await super().__call__(scope, receive, send)


def _sse(data: Mapping) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"
