"""One upload's way through the front: admitted, read, transcribed, given up when the client goes.

What the routes share, over a pool of workers.  A place in the queue is taken before a byte of the
body is read, and given back whatever happens.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request

from asr_dro_plugin.serving.errors import ApiError, ClientGone, not_admitted, of_failed
from asr_dro_plugin.serving.metrics import Metrics
from asr_dro_plugin.serving.protocol import Busy, Done, Draining, Event, Failed, Job
from asr_dro_plugin.serving.settings import ServiceSettings
from asr_dro_plugin.serving.uploads import Form, boundary_of, reading
from asr_dro_plugin.transcripts.transcript import Transcript, from_mapping

RETRY_LOADING = 2  # seconds
log = logging.getLogger("asr_dro.serve")


class AbsTicket(Protocol):
    """A place in the pool's queue."""

    def run(self, job: Job, fd: int) -> AsyncIterator[Event]:
        """Events of a job; closing the iterator frees the worker."""

    def release(self) -> None:
        """Give the place back."""


class AbsPool(Protocol):
    """The workers, as the routes see them (``serving.pool``).

    Attributes:
        ready: whether the models are loaded, the self-test passed and nothing is draining.
        models: name -> facts of the manifest; empty while loading.
        counts: figures for the metrics, of the names in ``metrics.COUNTS``.
    """

    ready: bool
    models: dict[str, dict]
    counts: dict[str, int]

    def admit(self) -> AbsTicket:
        """A place in the queue.  Raises: Busy, Draining."""


@dataclass
class Service:
    """What every route has at hand."""

    settings: ServiceSettings
    pool: AbsPool
    metrics: Metrics
    is_draining: bool = False

    def check_loaded(self) -> None:
        """Refuse with 503 while the models are loading."""
        if not self.pool.models:
            raise ApiError(503, "The models are loading. Send this again.", "loading",
                           retry_after=RETRY_LOADING)  # fmt: skip

    @contextlib.asynccontextmanager
    async def upload(self, request: Request) -> AsyncIterator["Upload"]:
        """An upload that was admitted and read.

        Raises:
            ApiError: whatever is wrong with it, most of it before its body is read.
        """
        self.check_loaded()
        boundary_of(request, self.settings)
        async with contextlib.AsyncExitStack() as stack:
            try:
                ticket = self.pool.admit()
            except (Busy, Draining) as reason:
                raise not_admitted(reason) from None
            stack.callback(ticket.release)
            form = await stack.enter_async_context(reading(request, self.settings))
            self.metrics.upload_bytes.inc(form.size)
            upload = Upload(self, request, ticket, form, stack)
            yield upload


@dataclass
class Upload:
    """An admitted request with its form read."""

    service: Service
    request: Request
    ticket: AbsTicket
    form: Form
    stack: contextlib.AsyncExitStack

    def events(self, job: Job) -> AsyncIterator[Event]:
        """What the pool says of the recording."""
        return self.ticket.run(job, self.form.file.fileno())

    async def transcript(self, job: Job) -> Transcript:
        """The whole transcript.

        Raises:
            ApiError: the recording has none.
            ClientGone: nobody waits for it any more; its worker is free.
        """
        return await unless_gone(self.request, self._last(job))

    async def _last(self, job: Job) -> Transcript:
        async with contextlib.aclosing(self.events(job)) as events:
            async for event in events:
                if isinstance(event, Failed):
                    raise of_failed(event)
                if isinstance(event, Done):
                    return self.finished(event)
        raise ApiError(500, "The service lost this recording.", "internal_error")

    def finished(self, event: Done) -> Transcript:
        """The transcript of the last event, counted."""
        self.service.metrics.audio_seconds.labels(event.model).inc(event.duration)
        return from_mapping({**event.transcript, "duration": event.duration})

    def keep(self) -> contextlib.AsyncExitStack:
        """File and place in the queue, to be closed by a response that goes on after the route."""
        return self.stack.pop_all()


async def unless_gone[T](request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is stopped once the client has closed the connection.

    Raises:
        ClientGone: it has.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        await cancelled(task)
        await cancelled(gone)


async def cancelled(task: asyncio.Future) -> None:
    """Stop a task and wait until it has stopped."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # else asyncio tells that nobody asked


async def _gone(request: Request) -> None:
    """Wait for the end of a connection whose request is read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
