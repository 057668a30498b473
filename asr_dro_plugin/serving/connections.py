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


class _Lingering:
    """A transport whose close lets the rest of a request come in.

    Bytes that nobody has read at a close make the system reset the connection, and a client that is
    still sending loses the answer (RFC 9112, 9.6).

    Attributes:
        lingers: whether it is closed but for that.
    """

    def __init__(self, transport: asyncio.Transport, connection: Any, seconds: float) -> None:
        self.transport, self._connection, self._seconds = transport, connection, seconds
        self.lingers = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def is_closing(self) -> bool:
        return self.lingers or self.transport.is_closing()

    def close(self) -> None:
        is_amid = self._connection.conn.their_state is h11.SEND_BODY
        if self.lingers or not is_amid or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.lingers = True
        self.transport.write_eof()
        self.transport.resume_reading()
        self._connection.loop.call_later(self._seconds, self.transport.close)


def connection_class(seconds: float) -> type[H11Protocol]:
    """The class of connections whose heads and leftovers may take so many seconds."""

    class _TimedConnection(H11Protocol):
        _clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_Lingering(transport, self, seconds))
            if hasattr(transport, "max_size"):  # asyncio's own transport: 256 kB by default
                transport.max_size = READ
            self._wind()

        def data_received(self, data: bytes) -> None:
            if self.transport.lingers:
                return
            super().data_received(data)
            self._wind()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wind()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._stop()
            self.transport = self.transport.transport
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
