"""The front's side of the workers: who is let in, who works at what, and what a crash costs.

Everything here runs in one event loop and waits for nothing else: no audio is decoded, no model
runs.  A recording is let in before its body is read (``admit``), goes to a worker as an open
descriptor, and comes back as events.  A worker that dies takes the one job along whose turn it was;
that is tried again, and after ``MOST_CRASHES`` of a decoder's the audio is at fault and the client
is told so, for a 5xx would have it sent for ever.

What public reports taught, and what is done here:

- A worker that ends for want of memory is begun anew for ever and nobody is told (gunicorn #1937,
  #2215): the signal is named, pauses grow, and a service none of whose workers loads ends.
- One dead process breaks a ``ProcessPoolExecutor``, and all that waits is lost; its job, tried
  again without end, breaks the next (apscheduler #362, chancy #94): each worker has a socket of its
  own, and tries are counted by whose turn it was.
- Threads of onnxruntime do not come over a fork (onnxruntime #9800, pull request #31961): workers
  are programs of their own.
"""

import asyncio
import contextlib
import logging
import math
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Self

from asr_dro_plugin.serving.entries import Entry
from asr_dro_plugin.serving.live_wire import LIVE
from asr_dro_plugin.serving.protocol import INTERNAL, Busy, Draining, Event, Failed, Job
from asr_dro_plugin.serving.settings import LONGEST_RETRY, ServiceSettings
from asr_dro_plugin.serving.wire import NOBODY
from asr_dro_plugin.serving.worker_process import LOADING, ROOM, WorkerProcess, why

COMMAND = (sys.executable, "-m", "asr_dro_plugin.serving.worker")
SILENCE = 120.0  # seconds without a word of a worker that has work: it hangs
MOST_CRASHES, MOST_KILLS = 2, 8  # of workers, for one job: by what it does; by somebody unknown
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 30.0  # seconds before a worker is replaced
RECENT = 64  # finished jobs from whose times Retry-After is estimated
UNKNOWN_RETRY = 5
NO_WORKER = 60.0  # seconds without a worker after which those that wait are sent away
NOBODY_WORKS = Failed(503, "no_worker", "No worker can be started. The service's log says why.")
MOST_TRIES = 12  # of one job, for whatever reason
LOST = Failed(503, "worker_lost", "The worker of this session is gone. Connect anew.")
GONE = Failed(503, "draining", "The service is going down. Send this again.")
log = logging.getLogger("asr_dro.serve")


class Ticket:
    """The right to have one recording transcribed; give it back with ``release`` or ``with``."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._entry: Entry | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Leave; a recording that is still at work is stopped."""
        if self._entry:
            self._pool.forget(self._entry)
        self._pool.leave(self)

    async def run(self, job: Job, descriptor: int) -> AsyncIterator[Event]:
        """Events of a job, the last of which is ``Done`` or ``Failed``.

        Args:
            job: what is to be done.
            descriptor: of the audio's file, open until the last event or ``release``; its place
                does not matter and is not moved.
        """
        self._entry = self._pool.enter(job, descriptor)
        try:
            async for event in self._entry.events():
                yield event
        finally:
            self._pool.forget(self._entry)


class Pool:
    """Workers, and the queue before them.

    Args:
        settings: of the service.
        command: starts a worker; descriptors and settings are appended.
        silence: seconds without a word after which a worker that has work is killed.

    Attributes:
        models: name -> facts of each model, once a worker is ready.
        fault: why the last worker could not start; empty once one could.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        command: Sequence[str] = COMMAND,
        silence: float = SILENCE,
    ) -> None:
        self.settings, self.command, self.silence = settings, tuple(command), silence
        self.models: dict[str, dict] = {}
        self.fault = ""
        self.num_restarts = 0
        self._heard: dict[str, str] | None = None  # self-test of the first worker
        self._tickets: set[Ticket] = set()
        self._waiting: deque[Entry] = deque()
        self._workers: list[WorkerProcess] = []
        self._keepers: list[asyncio.Task] = []
        self._finished: deque[float] = deque(maxlen=RECENT)
        self._number = NOBODY
        self._changed = asyncio.Event()
        self._is_draining = self._is_closed = False

    # What the front asks.

    @property
    def ready(self) -> bool:
        """Whether a worker is loaded and tested, and new recordings are let in."""
        return not self._is_draining and any(worker.is_ready for worker in self._workers)

    @property
    def counts(self) -> dict[str, int]:
        """For metrics: recordings let in, waiting and at work; workers ready and restarted."""
        return {
            "admitted": len(self._tickets),
            "waiting": len(self._waiting),
            "running": sum(len(worker.open) for worker in self._workers),
            "workers_ready": sum(worker.is_ready for worker in self._workers),
            "workers_restarted": self.num_restarts,
        }

    @property
    def processes(self) -> list[int]:
        """Ids of the workers' processes."""
        return [worker.process.pid for worker in self._workers]

    async def start(self) -> None:
        """Start the workers; returns at once, ``ready`` tells when one can work."""
        for _ in range(self.settings.num_workers):
            self._keepers.append(asyncio.create_task(self._keep()))
        self._keepers.append(asyncio.create_task(self._watch()))

    async def wait_ready(self, seconds: float = LOADING) -> bool:
        """Wait until a worker can work; False where none can (see ``fault``) or the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (self.ready or self.fault):
                    await self._change()
        return self.ready

    def admit(self) -> Ticket:
        """Let a recording in, before its body is read.

        Raises:
            Busy: as many as may be are in; with the seconds after which there may be room.
            Draining: the service goes down.
        """
        if self._is_draining:
            raise Draining
        if len(self._tickets) >= self.settings.max_queue:
            raise Busy(self._retry_after())
        ticket = Ticket(self)
        self._tickets.add(ticket)
        return ticket

    def _retry_after(self) -> int:
        """Seconds until half of those that are in will be done, by the rate of late."""
        since = time.monotonic() - self._finished[0] if self._finished else 0.0
        if not since:
            return UNKNOWN_RETRY
        seconds = len(self._tickets) / 2 * since / len(self._finished)
        return max(1, min(math.ceil(seconds), LONGEST_RETRY))

    async def drain(self, seconds: float) -> bool:
        """Let nobody in, wait for those that are, end the workers; whether all were done."""
        self._is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tickets:
                    await self._change()
        is_done = not self._tickets
        await self._close()
        return is_done

    async def _close(self) -> None:
        self._is_closed = True
        for entry in [*self._waiting, *(e for w in self._workers for e in w.open.values())]:
            entry.put(GONE)
        self._waiting.clear()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    # What a ticket does.

    def enter(self, job: Job, descriptor: int) -> Entry:
        """Queue a job."""
        self._number += 1
        entry = Entry(self._number, job, descriptor)
        if self._is_closed:
            entry.put(GONE)
        else:
            self._waiting.append(entry)
            self.dispatch()
        return entry

    def forget(self, entry: Entry) -> None:
        """Stop a job wherever it is; nothing where it has ended."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(entry)
        if worker := entry.worker:
            worker.cancel(entry)
            self.dispatch()

    def leave(self, ticket: Ticket) -> None:
        """Make room for another."""
        self._tickets.discard(ticket)
        if not self._tickets:
            self._finished.clear()  # the rate of a pause is none
        self._tell()

    # Workers.

    def dispatch(self) -> None:
        """Give waiting jobs to workers that have room for them: the first short one, then long."""
        while self._waiting:
            given = next(filter(None, map(self._choice, self._by_load())), None)
            if given is None:
                return
            worker, entry = given
            self._waiting.remove(entry)
            worker.give(entry)

    def _by_load(self) -> list[WorkerProcess]:
        ready = [worker for worker in self._workers if worker.is_ready]
        return sorted(ready, key=lambda worker: len(worker.open))

    def _choice(self, worker: WorkerProcess) -> tuple[WorkerProcess, Entry] | None:
        """A worker's next job: of those it has room for, a short one before a long one."""
        for kind in ROOM:
            if worker.has_room(kind):
                for entry in self._waiting:
                    if entry.kind == kind:
                        return worker, entry
        return None

    async def _keep(self) -> None:
        """Keep one worker alive, with longer and longer pauses where it never gets ready."""
        pause = FIRST_PAUSE
        while not self._is_closed:
            was_ready = False
            try:
                worker = await WorkerProcess.start(self)
            except OSError as error:
                self._fail(f"A worker cannot be started: {error}.")
            else:
                was_ready = await self._live(worker)
            pause = FIRST_PAUSE if was_ready else min(2 * pause, LONGEST_PAUSE)
            self.num_restarts += 1
            await asyncio.sleep(pause)

    async def _live(self, worker: WorkerProcess) -> bool:
        """Work with a worker until it ends; whether it was ever ready."""
        self._workers.append(worker)
        was_ready = False
        try:
            await worker.listen()
        except asyncio.CancelledError:
            raise
        except Exception:  # nothing that one worker says may end the service
            log.exception("worker %d said what cannot be understood", worker.process.pid)
        finally:
            self._workers.remove(worker)
            was_ready = worker.is_ready
            code = await asyncio.shield(worker.end())
            if not (was_ready or worker.has_told or self._is_closed):
                remedy = "Its last words are in the log; where memory is short, --workers 1 helps."
                self._fail(f"A worker ended ({why(code)}) while it loaded its models. {remedy}")
            self._mourn(worker, code)
        return was_ready

    def _mourn(self, worker: WorkerProcess, code: int) -> None:
        """Try a dead worker's jobs again, and blame the one whose turn it was."""
        for entry in worker.orphans():
            if self._is_closed:
                break
            if entry.number == worker.last_turn:
                log.warning("worker %d ended (%s) at job %s", worker.process.pid, why(code),
                            entry.job.id)  # fmt: skip
                entry.crashes += worker.was_crashed(code)
                entry.kills += 1
            if entry.kind == LIVE:  # what was said is gone with it
                entry.put(LOST)
            elif entry.crashes >= MOST_CRASHES or entry.kills >= MOST_KILLS:
                message = "The recording cannot be read. Convert it to WAV or FLAC."
                entry.put(Failed(400, "invalid_audio", message, "file"))
            elif entry.tries >= MOST_TRIES:
                entry.put(INTERNAL)
            else:
                self._waiting.appendleft(entry)
        self.dispatch()
        self._tell()

    def welcome(self, facts: dict) -> bool:
        """A worker has loaded: whether it hears what the first one heard."""
        if self._heard not in (None, facts["self_test"]):
            self._fail("A new worker hears another text in the self-test than the first one did: "
                       "its model was changed. Start the service anew.")  # fmt: skip
            return False
        self._heard, self.models, self.fault = facts["self_test"], facts["models"], ""
        self.dispatch()
        self._tell()
        return True

    def _fail(self, fault: str) -> None:
        if self._heard is not None:  # else the service ends with these words
            log.error("%s", fault)
        self.fault = fault
        self._tell()

    def refuse(self, fault: str) -> None:
        """A worker cannot load its models."""
        self._fail(fault)

    def finished(self) -> None:
        """A worker has done a job."""
        self._finished.append(time.monotonic())
        self.dispatch()

    async def _watch(self) -> None:
        """Kill workers that hang, and keep nobody waiting where none can work."""
        last_ready = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, self.silence / 4))
            for worker in self._workers:
                worker.kill_if_silent(self.silence)
            if any(worker.is_ready for worker in self._workers):
                last_ready = time.monotonic()
            elif time.monotonic() - last_ready > NO_WORKER:
                while self._waiting:
                    self._waiting.popleft().put(NOBODY_WORKS)

    def _tell(self) -> None:
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
