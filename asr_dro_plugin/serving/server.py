"""The service as a process: a socket, uvicorn, the pool, and an end in which nothing is lost.

A first SIGTERM or SIGINT drains: recordings that are in are finished (for ``drain_seconds`` at
most), new ones are sent away with 503, and the socket stays open until the end, so that nobody who
is in the kernel's queue is cut off.  A second one ends at once.
"""

import asyncio
import ipaddress
import logging
import resource
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.serving.pool import Pool
from asr_dro_plugin.serving.settings import BACKLOG, ServiceSettings

LAST_REQUESTS = 0.2  # seconds for requests on connections that are open, to be told no
MOST_FILES = 65_536  # open files, where the system lets us
log = logging.getLogger("asr_dro.serve")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        UserError: the port is taken or not ours to take, the host is no address of this machine.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        reason = in_one_line(getattr(error, "strerror", None) or error)
        raise UserError(f"--host {host} cannot be used: {reason}. Use 127.0.0.1 for "
                        "this machine alone, 0.0.0.0 for all.") from None  # fmt: skip
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise UserError(f"Port {port} of {host} cannot be used: {error.strerror}. Give another "
                        "with --port, or 0 for a free one.") from None  # fmt: skip
    return sock


def address_of(sock: socket.socket) -> str:
    """``http://127.0.0.1:8000``."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    settings: ServiceSettings,
    say: Callable[[str], None],
    make_pool: Callable[[ServiceSettings], Pool] = Pool,
) -> int:
    """Serve until a signal; 0 after a clean end, 1 where recordings were cut off.

    Args:
        say: is given each line for people: the address, and when models are loaded.
        make_pool: of the workers.

    Raises:
        UserError: the address cannot be used, the models cannot be loaded.
    """
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(message)s")  # fmt: skip
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells of clients' bytes,
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # and it of addresses and queries
    _more_files()
    sock = listen(settings.host, settings.port)
    if not settings.api_key and not ipaddress.ip_address(sock.getsockname()[0]).is_loopback:
        log.warning("whoever reaches %s may use the service: no key is set", address_of(sock))
    with sock:
        return asyncio.run(_Running(settings, make_pool(settings), sock, say).serve())


def _more_files() -> None:
    """As many open files as may be: each client and each upload is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Running:
    """One life of the service."""

    def __init__(
        self,
        settings: ServiceSettings,
        pool: Pool,
        sock: socket.socket,
        say: Callable[[str], None],
    ) -> None:
        self.settings, self.pool, self.sock, self.say = settings, pool, sock, say
        self.all_done, self._drain = True, None

    async def serve(self) -> int:
        began = time.monotonic()
        self.say(f"asr-dro serve: {address_of(self.sock)} ({', '.join(self.settings.models)}; "
                 f"loading, workers: {self.settings.num_workers})")  # fmt: skip
        await self.pool.start()
        # Half a second of imports, while the workers load in processes of their own.
        web_server = await asyncio.to_thread(_import_web_server)
        self.server = web_server.WebServer(self.settings, self.pool, self.stop)
        serving = asyncio.create_task(self.server.serve(sockets=[self.sock]))
        loading = asyncio.create_task(self.pool.wait_ready())
        try:
            await asyncio.wait({serving, loading}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done() and loading.result():
                self.say(f"asr-dro serve: ready after {time.monotonic() - began:.1f} s")
            elif loading.done() and not self._drain:
                raise UserError(self.pool.fault or "The models could not be loaded in time.")
            await serving
        finally:
            self.server.should_exit = True
            loading.cancel()
            await self.pool.drain(0)
            await asyncio.wait({serving})
        self.say("asr-dro serve: stopped")
        return 0 if self.all_done else 1

    def stop(self) -> None:
        """Begin to drain; cut off what is in where that has begun already."""
        seconds = self.settings.drain_seconds
        if self._drain is not None:
            self._drain.cancel()
            seconds = 0.0
        self._drain = asyncio.get_running_loop().create_task(self._drained(seconds))

    async def _drained(self, seconds: float) -> None:
        self.server.service.is_draining = True
        self.all_done = await self.pool.drain(seconds)
        if not self.all_done:
            log.error("recordings were cut off: they took longer than --drain_seconds")
        await asyncio.sleep(LAST_REQUESTS)
        self.server.should_exit = True


def _import_web_server() -> Any:
    from asr_dro_plugin.serving import web_server

    return web_server
