"""One process that transcribes: jobs come in over a socket, audio as descriptors, events go out."""

import json
import logging
import mmap
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from asr_dro_plugin.audio.faults import AudioError
from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.serving.guard import Guard, Refused
from asr_dro_plugin.serving.live_job import LiveJob
from asr_dro_plugin.serving.live_wire import LIVE
from asr_dro_plugin.serving.protocol import (
    INTERNAL,
    Done,
    Event,
    Failed,
    Job,
    Partial,
    decode,
    encode,
)
from asr_dro_plugin.serving.turns import Turns, guess_seconds
from asr_dro_plugin.serving.wire import CANCEL, FAULT, NOBODY, PAGE, READY, WorkerSettings
from asr_dro_plugin.transcripts.subtitles import needs_characters

RECEIVE = 65_536  # bytes at a time; messages of the front are small
MAX_FDS = 64
SELF_TEST_SECONDS = 1.0
WITH_CHARACTERS = 900.0  # seconds: times of characters, for subtitles of a script without spaces
CANCELLED = Failed(499, "cancelled", "The client has left.")  # nobody reads it
log = logging.getLogger("asr_dro.serve")


class OpenJob:
    """A job that is being decoded, a step at a time."""

    is_live, is_ready = False, True

    def __init__(self, number: int, steps: Iterator[Event], descriptor: int) -> None:
        self.number, self.steps, self._descriptor = number, steps, descriptor
        self.seconds_left = guess_seconds(os.fstat(descriptor).st_size)

    def step(self) -> Event:
        """The next event, from which is noted how much is left."""
        event = next(self.steps)
        if isinstance(event, Partial) and event.duration is not None:
            self.seconds_left = event.duration - event.seconds_done
        return event

    def close(self) -> None:
        """Stop where it is, and free all that it holds."""
        self.steps.close()
        os.close(self._descriptor)


def transcribing(
    job: Job, descriptor: int, recognisers: Mapping[str, Any], guard: Guard
) -> Iterator[Event]:
    """Events of one job, the last of which is ``Done`` or ``Failed``.

    The first event says the duration that a header declares, before anything is decoded.
    """
    try:
        with guard.open(descriptor) as blocks:
            yield Partial(0.0, blocks.duration, "")
            recogniser = recognisers[job.model]
            chars = blocks.duration is not None and blocks.duration <= WITH_CHARACTERS
            transcript = None
            for piece in recogniser.stream(blocks, job.language, job.vad, job.times, chars=chars):
                transcript = piece.transcript
                if piece.words or transcript is None:
                    words = [asdict(word) for word in piece.words]
                    yield Partial(piece.seconds_done, piece.duration, piece.text, words)
            yield _end(job, transcript, blocks.seconds)
    except Refused as refusal:
        yield Failed(refusal.status, refusal.code, str(refusal), "file")
    except AudioError as error:
        yield Failed(400, "invalid_audio", in_one_line(error), "file")
    except UserError as error:
        yield Failed(400, "invalid_value", in_one_line(error))
    except Exception:
        log.exception("job %s failed", job.id)
        yield INTERNAL


def _end(job: Job, transcript: Any, seconds: float) -> Event:
    if transcript.fault:
        message = f"The recording cannot be transcribed: {transcript.fault}. Record it anew."
        return Failed(400, "invalid_audio", in_one_line(message), "file")
    hypotheses = tuple(
        each if needs_characters(each) else replace(each, chars=())  # they are most of the bytes
        for each in transcript.hypotheses
    )
    said = asdict(replace(transcript, hypotheses=hypotheses))
    return Done(said, transcript.duration or seconds, job.model)


class Worker:
    """Takes jobs from a socket and does them by turns until the socket ends."""

    def __init__(
        self, link: socket.socket, page: mmap.mmap, recognisers: Mapping[str, Any], guard: Guard
    ) -> None:
        self._link, self._page = link, page
        self._recognisers, self._guard = recognisers, guard
        self._open: dict[int, OpenJob | LiveJob] = {}
        self._turns: Turns[OpenJob | LiveJob] = Turns()
        self._pending = b""
        self._descriptors: deque[int] = deque()

    def run(self) -> None:
        """Work until the front closes the socket."""
        while self._receive(wait=self._turns.is_waiting):
            if job := self._turns.next():
                self._step(job)

    def _receive(self, wait: bool) -> bool:
        """Take what the front has sent; False once it is gone."""
        if wait:
            waits = [job.waits_for for job in self._open.values() if job.is_live]
            readers, writers = (sum(sockets, []) for sockets in zip([[], []], *waits))
            select.select([self._link, *readers], writers, [])
        while _is_readable(self._link):
            data, descriptors, _, _ = socket.recv_fds(self._link, RECEIVE, MAX_FDS)
            if not data:
                return False
            self._descriptors.extend(descriptors)
            *lines, self._pending = (self._pending + data).split(b"\n")
            for line in lines:
                number, _, message = line.partition(b" ")
                self._heed(int(number), message)
        return True

    def _heed(self, number: int, message: bytes) -> None:
        if message != CANCEL:
            descriptor = self._descriptors.popleft()
            job = self._open[number] = self._opened(number, decode(message), descriptor)
            self._turns.add(job)
        elif job := self._open.get(number):  # else it has ended meanwhile, and the front hears so
            self._close(job)
            send(self._link, number, encode(CANCELLED))

    def _opened(self, number: int, job: Job, descriptor: int) -> OpenJob | LiveJob:
        if job.kind == LIVE:
            return LiveJob(number, job, descriptor, self._recognisers)
        steps = transcribing(job, descriptor, self._recognisers, self._guard)
        return OpenJob(number, steps, descriptor)

    def _step(self, job: OpenJob | LiveJob) -> None:
        PAGE.pack_into(self._page, 0, job.number)
        event = job.step()
        PAGE.pack_into(self._page, 0, NOBODY)
        if event is None:
            return
        send(self._link, job.number, encode(event))
        if not isinstance(event, Partial):
            self._close(job)

    def _close(self, job: OpenJob | LiveJob) -> None:
        job.close()
        del self._open[job.number]
        self._turns.remove(job)


def send(link: socket.socket, number: int, message: bytes) -> None:
    """One line to the front."""
    link.sendall(b"%d %s\n" % (number, message.rstrip(b"\n")))


def _is_readable(link: socket.socket) -> bool:
    return bool(select.select([link], [], [], 0)[0])


def open_models(settings: WorkerSettings) -> dict[str, Any]:
    """Name -> recogniser of each model.

    Raises:
        UserError: a folder that is not whole, or not for this version.
    """
    from asr_dro_plugin.runtime.recogniser import Recogniser

    return {
        name: Recogniser(path, threads=settings.threads) for name, path in settings.models.items()
    }


def self_test(recognisers: Mapping[str, Any]) -> dict[str, str]:
    """What each model hears in a second of noise: the same text in every worker.

    Raises:
        UserError: a model that cannot transcribe.
    """
    import numpy as np

    samples = np.random.default_rng(0).standard_normal(round(16000 * SELF_TEST_SECONDS))
    heard = {}
    for name, recogniser in recognisers.items():
        transcript = recogniser.transcribe((0.1 * samples).astype(np.float32))
        if transcript.fault and "short" not in transcript.fault:
            raise UserError(f"The model '{name}' fails its self-test: {transcript.fault}.")
        heard[name] = transcript.text
    return heard


def facts(recogniser: Any) -> dict:
    """What the front is told of a model, as JSON can hold it."""
    manifest = recogniser.manifest
    return json.loads(json.dumps(manifest, default=vars))


def limit_memory(headroom: int) -> None:
    """Let an allocation fail, and not the machine: so much data above what there is now."""
    import resource

    with open("/proc/self/status", encoding="ascii") as status:
        sizes = dict(line.split(":", 1) for line in status)
    most = int(sizes["VmData"].split()[0]) * 1024 + headroom
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def end_with(link: socket.socket) -> None:
    """End the process once the front is gone, also amid a long computation."""

    def wait() -> None:
        poll = select.poll()
        poll.register(link, select.POLLRDHUP)
        poll.poll()
        os._exit(0)

    threading.Thread(target=wait, daemon=True, name="end_with").start()


def serve(
    link: socket.socket,
    page: mmap.mmap,
    settings: WorkerSettings,
    load: Callable[[WorkerSettings], Mapping[str, Any]] = open_models,
) -> None:
    """Load, test, say so, and work until the front is gone."""
    try:
        recognisers = load(settings)
        heard = self_test(recognisers)
    except (UserError, ModuleNotFoundError, OSError) as error:
        send(link, NOBODY, FAULT + b" " + json.dumps(in_one_line(error)).encode())
        return
    if sys.platform == "linux" and settings.headroom:
        limit_memory(settings.headroom)
    models = {name: facts(each) for name, each in recognisers.items()}
    said = {"models": models, "self_test": heard}
    send(link, NOBODY, READY + b" " + json.dumps(said).encode())
    Worker(link, page, recognisers, Guard(settings.max_seconds)).run()


def main(
    arguments: list[str], load: Callable[[WorkerSettings], Mapping[str, Any]] = open_models
) -> None:
    """The process: descriptors of the socket and of the page, settings as JSON."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the front ends it, after a drain
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.ERROR)
    link_fd, page_fd, settings = int(arguments[0]), int(arguments[1]), arguments[2]
    link, page = socket.socket(fileno=link_fd), mmap.mmap(page_fd, PAGE.size)
    end_with(link)
    try:
        serve(link, page, WorkerSettings(**json.loads(settings)), load)
    except BrokenPipeError:
        pass  # the front is gone
    os._exit(0)  # nothing is left to be saved; onnxruntime's threads end with it


if __name__ == "__main__":
    main(sys.argv[1:])
