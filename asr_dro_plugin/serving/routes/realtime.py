"""``/v1/realtime``: somebody speaks, over a websocket, as OpenAI's clients do it."""

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from asr_dro_plugin.serving.errors import ApiError, not_admitted, of_failed
from asr_dro_plugin.serving.live_wire import LIVE
from asr_dro_plugin.serving.options import no_such_model
from asr_dro_plugin.serving.protocol import Busy, Draining, Failed, Job
from asr_dro_plugin.serving.realtime import Conversation
from asr_dro_plugin.serving.service import AbsTicket, Service

PROTOCOL = "realtime"  # of websockets that browsers open
CLOSE_DONE, CLOSE_FAULT, CLOSE_RESTART, CLOSE_LATER = 1000, 1011, 1012, 1013
LOOK = 0.25  # seconds between two looks at the clocks
LAST_WORDS = 5.0  # seconds that a worker has for what was said last,
STUCK = 60.0  # and to take a piece of sound
FRAMES = 4  # that may wait for the worker
LATE = ApiError(503, "The worker of this session is gone or too late. Connect anew.", "worker_lost")
RECEIVE = 1 << 16
log = logging.getLogger("asr_dro.serve")


class _Ended(Exception):
    """The session is over, for a reason that the client is told."""

    def __init__(self, code: int, error: ApiError | None = None) -> None:
        super().__init__(code)
        self.code, self.error = code, error


def router(service: Service) -> APIRouter:
    """The route over a service."""
    routes, speakers = APIRouter(tags=["live"]), set()

    @routes.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        try:
            ticket, model = _admitted(service, websocket, len(speakers))
        except ApiError as refusal:
            await websocket.send_denial_response(refusal.response())
            raise ClientDisconnected from None  # else uvicorn logs that nothing was answered
        with ticket:
            session = _Session(service, websocket, ticket, model)
            speakers.add(session)
            try:
                await session.run()
            finally:
                speakers.discard(session)

    return routes


def _admitted(
    service: Service, websocket: WebSocket, num_speakers: int
) -> tuple[AbsTicket, str | None]:
    """A place in the queue, and the model that the address names.

    Raises:
        ApiError: there is no place or no such model, or a page of another site asks.
    """
    service.check_loaded()
    origin, host = (websocket.headers.get(name) for name in ("origin", "host"))
    is_own = origin is None or origin.partition("://")[2] == host
    if not is_own and not {origin, "*"} & set(service.settings.origins):
        message = "A page of another site asks. Its origin must be named when serving."
        raise ApiError(403, message, "origin_not_allowed")
    model = websocket.query_params.get("model")
    if model is not None and model not in service.pool.models:
        raise no_such_model(model, service.pool.models)
    most = service.settings.live_sessions
    if not most:
        raise ApiError(403, "Live transcription is switched off here.", "live_is_off")
    if num_speakers >= most:
        message = f"{most} sessions are open, as many as may be. Connect later."
        raise ApiError(503, message, "too_many_sessions", retry_after=10)
    try:
        return service.pool.admit(), model
    except (Busy, Draining) as reason:
        raise not_admitted(reason) from None


class _Session:
    """One connection: what the client sends goes to a worker, what the worker says to the client.

    Each waits for the other: where the worker is behind, nothing more is read from the client.
    """

    def __init__(
        self, service: Service, websocket: WebSocket, ticket: AbsTicket, model: str | None
    ) -> None:
        self.service, self.websocket, self.ticket = service, websocket, ticket
        self.conversation = Conversation(service.pool.models, model)
        self._worker: socket.socket | None = None
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(FRAMES)
        self._sending = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task] = {}
        self._heard_at = time.monotonic()

    async def run(self) -> None:
        """The whole session, to its closed socket."""
        offered = PROTOCOL in self.websocket.scope.get("subprotocols", ())
        await self.websocket.accept(subprotocol=PROTOCOL if offered else None)
        ended = _Ended(CLOSE_DONE)
        try:
            await self._send([self.conversation.created()])
            self._begin(self._hear)
            self._begin(self._watch)
            while True:  # until one ends, by an exception
                tasks = self._tasks.values()
                done, _ = await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        except _Ended as reason:
            ended = reason
        except (WebSocketDisconnect, TimeoutError):
            ended = None  # nobody is there to be told
        except Exception:
            log.exception("%s: a live session failed", self._id)
            ended = _Ended(CLOSE_FAULT)
        finally:
            await self._end(ended)

    @property
    def _id(self) -> str:
        return self.websocket.scope["state"]["request_id"]

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks[work.__name__] = asyncio.create_task(work())

    async def _hear(self) -> None:
        """Take the client's messages, one after another."""
        while True:
            message = await self.websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", CLOSE_DONE))
            self._heard_at = time.monotonic()
            text = message.get("text")
            await self._send(self.conversation.heed(message["bytes"] if text is None else text))
            await self._pass_on()
            self._heard_at = time.monotonic()

    async def _pass_on(self) -> None:
        """Give the worker what it is to hear; it may let us wait."""
        pending = self.conversation.to_worker
        if pending and self._worker is None:
            self._worker, self._theirs = socket.socketpair()
            self._worker.setblocking(False)
            for work in (self._job, self._write, self._tell):
                self._begin(work)
        try:
            async with asyncio.timeout(STUCK):
                while pending:
                    await self._frames.put(pending[0])
                    del pending[0]
        except TimeoutError:
            raise _Ended(CLOSE_LATER, LATE) from None

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):  # why it is gone, the job tells
            while True:
                await loop.sock_sendall(self._worker, await self._frames.get())
        await asyncio.Event().wait()

    async def _job(self) -> None:
        """The worker's side, until it is over."""
        job = Job(self._id, self.conversation.model, kind=LIVE)
        with self._theirs:
            async with contextlib.aclosing(self.ticket.run(job, self._theirs.fileno())) as events:
                async for event in events:
                    if isinstance(event, Failed):
                        is_late = event.status == HTTPStatus.SERVICE_UNAVAILABLE
                        raise _Ended(CLOSE_LATER if is_late else CLOSE_FAULT, of_failed(event))
        raise _Ended(CLOSE_LATER, LATE)

    async def _tell(self) -> None:
        """Tell the client what the worker says."""
        loop, lines = asyncio.get_running_loop(), b""
        while data := await self._received(loop):
            *whole, lines = (lines + data).split(b"\n")
            for line in whole:
                event = json.loads(line)
                if event["type"] == "final":
                    seconds = self.service.metrics.audio_seconds.labels(self.conversation.model)
                    seconds.inc(max(0.0, event["end"] - event["start"]))
                await self._send(self.conversation.said(event))
        await asyncio.Event().wait()  # the job tells why

    async def _received(self, loop: asyncio.AbstractEventLoop) -> bytes:
        try:
            return await loop.sock_recv(self._worker, RECEIVE)
        except ConnectionError:
            return b""

    async def _watch(self) -> None:
        """End the session when its time is up, nobody speaks, or the service goes down."""
        settings = self.service.settings
        while True:
            await asyncio.sleep(LOOK)
            if self.service.is_draining:
                raise _Ended(CLOSE_RESTART, not_admitted(Draining()))
            if self.conversation.seconds > settings.live_seconds:
                raise _over("session_expired", f"A session may have {settings.live_seconds:g} s "
                            "of sound. Connect anew.")  # fmt: skip
            if time.monotonic() - self._heard_at > settings.live_idle:
                raise _over("session_idle", f"Nothing was sent for {settings.live_idle:g} s. "
                            "Connect anew.")  # fmt: skip

    async def _send(self, events: list[dict]) -> None:
        """Events to the client, who must take them in time."""
        async with self._sending, asyncio.timeout(self.service.settings.body_timeout):
            for event in events:
                await self.websocket.send_text(json.dumps(event))

    async def _end(self, ended: _Ended | None) -> None:
        """Say the last words, stop all that runs, close."""
        if ended and ended.error:
            with contextlib.suppress(Exception):
                await self._last_words()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._worker:
            self._worker.close()
        log.info("%s live %s %.1f s", self._id, ended.code if ended else "gone",
                 self.conversation.seconds)  # fmt: skip
        with contextlib.suppress(Exception):  # the client may go at any time
            if ended and ended.error:
                await self._send(self.conversation.fail_all(ended.error))
            if ended:
                await self.websocket.close(ended.code)

    async def _last_words(self) -> None:
        """What was said and not committed is not lost with the session."""
        self._tasks["_hear"].cancel()
        await asyncio.wait([self._tasks["_hear"]])
        if self._worker is None or self._tasks["_job"].done():
            return
        async with asyncio.timeout(LAST_WORDS):
            await self._send(self.conversation.end())
            await self._pass_on()
            while not self.conversation.is_settled:
                await asyncio.sleep(LOOK / 5)


def _over(code: str, message: str) -> _Ended:
    return _Ended(CLOSE_DONE, ApiError(408, message, code))
