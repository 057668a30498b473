"""uvicorn's HTTP/1.1 connection with a clock where it has none.

uvicorn waits for ever for a request's head, for the rest of one, and for what is left of a body
whose answer is sent; a client that sends a byte a minute keeps its connection.  Here whatever is
no application's business must be through in a fixed time.  (While an application is at work on a
request, its own clocks count.)
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

READ = 65_536  # bytes at a time; hundreds of uploads have as much in memory each


def connection_class(seconds: float) -> type[H11Protocol]:
    """The class of connections whose heads and leftovers may take so many seconds."""

    class _TimedConnection(H11Protocol):
        _clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if hasattr(transport, "max_size"):  # asyncio's own transport: 256 kB by default
                transport.max_size = READ
            self._wind()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wind()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wind()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._stop()
            super().handle_websocket_upgrade(event)
            self._is_websocket = True

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        _is_websocket = False

        def _wind(self) -> None:
            """Let the clock run while no application is at work, from the first such moment on."""
            at_work: Any = self.cycle is not None and not self.cycle.response_complete
            if at_work or self._is_websocket or self.transport.is_closing():
                self._stop()
            elif self._clock is None:
                self._clock = self.loop.call_later(seconds, self.transport.close)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

    return _TimedConnection
