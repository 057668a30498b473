"""What is around every answer: request id, key, security headers, clocks, a line of the log.

A plain ASGI middleware, so that bodies pass through it as they are.  The log has the route's
template and never a path, a query or a file name.
"""

import asyncio
import hmac
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.websockets import WebSocket
from uvicorn.protocols.utils import ClientDisconnected

from asr_dro_plugin.serving.errors import CLIENT_CLOSED, OUR_FAULT, ApiError, not_admitted
from asr_dro_plugin.serving.metrics import Metrics, known_method
from asr_dro_plugin.serving.protocol import Draining
from asr_dro_plugin.serving.settings import ServiceSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[dict]]
Send = Callable[[dict], Awaitable[None]]
PUBLIC = ("/", "/healthz", "/health", "/readyz")  # need no key; the page asks for it
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
KEY_PROTOCOL = "openai-insecure-api-key."  # how a browser's websocket carries a key
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
log = logging.getLogger("asr_dro.serve")


class Envelope:
    """The middleware.

    Args:
        app: what it is around.
        settings: key, origins, clocks.
        metrics: counts the answers.
    """

    def __init__(self, app: Any, settings: ServiceSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        if scope["type"] == "http":
            await self._http(scope, receive, send, request_id)
        elif self.has_key(scope):
            await self.app(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).send_denial_response(no_key().response())
            raise ClientDisconnected  # else uvicorn logs that nothing was answered

    async def _http(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began, status = time.monotonic(), None

        async def sending(message: dict) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(MutableHeaders(raw=message.setdefault("headers", [])), request_id)
            async with asyncio.timeout(self.settings.body_timeout):  # for one who does not read
                await send(message)

        method = scope["method"]
        inner = {**scope, "method": "GET"} if method == "HEAD" else scope  # the server cuts bodies
        try:
            if refusal := self._refusal(scope):
                await refusal.response()(inner, receive, sending)
            else:
                await self.app(inner, receive, sending)
        except asyncio.CancelledError:  # the server's, when its time is up
            if status is not None:
                raise
            await not_admitted(Draining()).response()(inner, receive, sending)
        except TimeoutError:  # the server closes a connection whose answer is not whole
            log.warning("%s: the client does not read its answer", request_id)
        except Exception:
            log.exception("%s: a fault of the service", request_id)
            if status is None:
                await OUR_FAULT.response()(inner, receive, sending)
        finally:
            seconds = time.monotonic() - began
            route = getattr(inner.get("route"), "path", None)
            self.metrics.answered(route, method, status or CLIENT_CLOSED, seconds)
            level = logging.DEBUG if route in PUBLIC else logging.INFO  # probes ask every second
            log.log(level, "%s %s %s %s %.3f s", request_id, known_method(method),
                    route or "no route", status or CLIENT_CLOSED, seconds)  # fmt: skip

    def _dress(self, headers: MutableHeaders, request_id: str) -> None:
        headers["x-request-id"] = request_id
        for name, value in SECURITY.items():
            headers.setdefault(name, value)

    def _refusal(self, scope: Scope) -> ApiError | None:
        """Why a request is not let through: no key, or a page of another site asks."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path not in PUBLIC and not self.has_key(scope):
            return no_key()
        headers = Headers(scope=scope)
        is_foreign = headers.get("sec-fetch-site") == "cross-site"  # by the browser itself
        if is_foreign and scope["method"] == "POST" and not self._is_known(headers.get("origin")):
            message = "A page of another site asks. Its origin must be named when serving."
            return ApiError(403, message, "origin_not_allowed")
        return None

    def _is_known(self, origin: str | None) -> bool:
        origins: Collection[str] = self.settings.origins
        return origin in origins or "*" in origins

    def has_key(self, scope: Scope) -> bool:
        """Whether a request carries the key, where one is needed; compared in constant time."""
        if not self.settings.api_key:
            return True
        headers = Headers(scope=scope)
        kind, _, word = headers.get("authorization", "").partition(" ")
        words = [word.strip()] if kind.lower() == "bearer" else []
        for each in scope.get("subprotocols", ()):  # of a websocket
            if each.startswith(KEY_PROTOCOL):
                words.append(each.removeprefix(KEY_PROTOCOL))
        wanted = self.settings.api_key.encode()
        return any(hmac.compare_digest(each.encode("latin-1", "replace"), wanted) for each in words)


def no_key() -> ApiError:
    """401, for a request without the key."""
    message = "The API key is missing or wrong. Send it as Authorization: Bearer KEY."
    return ApiError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _request_id(word: str) -> str:
    """The client's, if it is a harmless one, else a new one."""
    return word if REQUEST_ID.fullmatch(word) else uuid.uuid4().hex
