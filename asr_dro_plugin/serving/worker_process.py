"""One worker as the pool sees it: its process, its socket, and the jobs that it has."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import mmap
import os
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any, Protocol, Self

from asr_dro_plugin.serving.entries import Entry
from asr_dro_plugin.serving.live_wire import LIVE
from asr_dro_plugin.serving.protocol import INTERNAL, Partial, decode, encode
from asr_dro_plugin.serving.settings import ServiceSettings
from asr_dro_plugin.serving.wire import CANCEL, FAULT, NOBODY, PAGE, READY, WorkerSettings

# Of a worker, where the environment does not say: glibc keeps what a computation has freed for the
# next one (up to its own most, 32 MB a block), which takes a quarter off the time of a small model;
# and the model's threads are the only ones.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
LONGEST_LINE = 64 << 20  # bytes of one message of a worker
MOST_OPEN = 16  # jobs that one worker has open at once,
ROOM = {LIVE: 8, "short": 2, "long": 2}  # and of each kind
LOADING = 300.0  # seconds that models may take to load
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
log = logging.getLogger("asr_dro.serve")


class Owner(Protocol):
    """What a worker needs of its pool."""

    settings: ServiceSettings
    command: Sequence[str]

    def welcome(self, facts: dict) -> bool:
        """It has loaded; whether it may stay."""

    def refuse(self, fault: str) -> None:
        """It cannot load."""

    def finished(self) -> None:
        """It has done a job."""

    def dispatch(self) -> None:
        """It has room."""


class WorkerProcess:
    """One process, its socket and the jobs it has."""

    def __init__(self, pool: Owner, process: Any, link: socket.socket, page: mmap.mmap) -> None:
        self.pool, self.process, self._page = pool, process, page
        self._link = link
        self.open: dict[int, Entry] = {}
        self._leaving: set[int] = set()  # cancelled, until the worker has heard of it
        self.is_ready = self.was_hanging = self.has_told = False
        self.last_turn = NOBODY
        self._heard_at = time.monotonic()
        self._oom_kills = _oom_kills()

    @classmethod
    async def start(cls, pool: Owner) -> Self:
        """A new process.

        Raises:
            OSError: no memory, no processes, no descriptors.
        """
        ours, theirs = socket.socketpair()
        page = os.memfd_create("turn")
        try:
            os.ftruncate(page, PAGE.size)
            settings = pool.settings
            told = WorkerSettings(dict(settings.models), settings.threads, settings.max_seconds)
            process = await asyncio.create_subprocess_exec(
                *pool.command, str(theirs.fileno()), str(page),
                json.dumps(dataclasses.asdict(told)), pass_fds=(theirs.fileno(), page),
                stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
                env={**ENVIRONMENT, **os.environ},
            )  # fmt: skip
            ours.setblocking(False)
            return cls(pool, process, ours, mmap.mmap(page, PAGE.size))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(page)

    def has_room(self, kind: str) -> bool:
        """Whether one more job of a kind would not keep the others waiting."""
        num_alike = sum(entry.kind == kind for entry in self.open.values())
        return len(self.open) + len(self._leaving) < MOST_OPEN and num_alike < ROOM[kind]

    @property
    def has_work(self) -> bool:
        """Whether it has jobs other than live ones, in which nobody may be speaking."""
        return any(entry.kind != LIVE for entry in self.open.values())

    def give(self, entry: Entry) -> None:
        """Send a job with its descriptor."""
        if not self.has_work:
            self._heard_at = time.monotonic()
        if not _is_open(entry.descriptor):
            entry.put(INTERNAL)
            return
        self.open[entry.number], entry.worker = entry, self
        entry.tries += 1
        line = b"%d %s" % (entry.number, encode(entry.job))
        if not self._send(line, [entry.descriptor]):
            self.kill()

    def cancel(self, entry: Entry) -> None:
        """Tell the worker to stop a job."""
        entry.worker = None
        if self.open.pop(entry.number, None):
            self._leaving.add(entry.number)
            self._send(b"%d %s\n" % (entry.number, CANCEL), [])

    def _send(self, line: bytes, descriptors: list[int]) -> bool:
        """False where the worker is gone, or takes nothing any more."""
        try:
            return socket.send_fds(self._link, [line], descriptors) == len(line)
        except OSError:
            return False

    def kill(self) -> None:
        """End the process at once."""
        if self.process.returncode is None:  # Popen.kill would take its exit code from asyncio
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    def kill_if_silent(self, seconds: float) -> None:
        """Kill it where it has work, or loads, and has said nothing for long."""
        limit = seconds if self.is_ready else LOADING
        is_idle = self.is_ready and not self.has_work
        if not is_idle and time.monotonic() - self._heard_at > limit:
            log.warning("worker %d says nothing for %g s", self.process.pid, limit)
            self.was_hanging = True
            self.kill()

    async def listen(self) -> None:
        """Take what it says until it is gone."""
        loop, buffer, heed = asyncio.get_running_loop(), bytearray(), self._heed
        while data := await _received(loop, self._link):
            self._heard_at = time.monotonic()
            start = len(buffer)
            buffer += data
            while (end := buffer.find(b"\n", start)) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                start = 0
                heed(line)
            if len(buffer) > LONGEST_LINE:
                raise ValueError("a message without an end")

    def _heed(self, line: bytes) -> None:
        number, _, message = line.partition(b" ")
        if int(number) == NOBODY:
            kind, _, said = message.partition(b" ")
            self._of_itself(kind, json.loads(said))
            return
        event = decode(message)
        is_last = not isinstance(event, Partial)
        if entry := self.open.get(int(number)):
            entry.put(event)
        if entry and is_last:
            del self.open[entry.number]
            entry.worker = None
            self.pool.finished()
        elif is_last:  # it was cancelled, and is gone now
            self._leaving.discard(int(number))
            self.pool.dispatch()
        elif entry and entry.is_long:
            self.pool.dispatch()

    def _of_itself(self, kind: bytes, said: Any) -> None:
        if kind == READY:
            self.is_ready = True
            self.is_ready = self.pool.welcome(said)
            if not self.is_ready:
                self.has_told = True
                self.kill()
        elif kind == FAULT:
            self.has_told = True
            self.pool.refuse(said)

    def was_crashed(self, code: int) -> bool:
        """Whether it died of its work: of a hang, a crash, an exception, or of too much memory."""
        is_out_of_memory = -code == signal.SIGKILL and _oom_kills() > self._oom_kills
        return self.was_hanging or is_out_of_memory or -code in CRASHES or code > 0

    async def end(self) -> int:
        """Close the socket, which ends the process, and wait for it; its exit code."""
        self.is_ready = False
        self._link.close()
        try:
            async with asyncio.timeout(1.0):
                code = await self.process.wait()
        except TimeoutError:
            self.kill()
            code = await self.process.wait()
        self.last_turn = PAGE.unpack_from(self._page, 0)[0]
        self._page.close()
        return code

    def orphans(self) -> list[Entry]:
        """Its jobs, last one first, which it gives up."""
        entries = [*self.open.values()][::-1]
        self.open.clear()
        for entry in entries:
            entry.worker = None
        return entries


def _oom_kills() -> int:
    """How often the kernel has killed for want of memory; 0 where it does not tell."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            counts = dict(line.split() for line in file)
    except OSError:
        return 0
    return int(counts.get("oom_kill", 0))


def why(code: int) -> str:
    """A process' exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps out of memory" if -code == signal.SIGKILL else name


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def _received(loop: asyncio.AbstractEventLoop, link: socket.socket) -> bytes:
    try:
        return await loop.sock_recv(link, 1 << 18)
    except ConnectionError:
        return b""
