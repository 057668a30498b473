"""A live transcription in a worker: a step at a time, so that others have their turns between."""

import json
import logging
import select
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.runtime.live.session import (
    Event,
    Final,
    Interim,
    LiveSession,
    Started,
    Stopped,
    TurnEnds,
)
from asr_dro_plugin.serving.live_wire import (
    AUDIO,
    CLEAR,
    COMMIT,
    MOST_BYTES,
    SETTINGS,
    FrameReader,
    LiveSettings,
)
from asr_dro_plugin.serving.protocol import Done, Failed, Job

INTERNAL = Failed(500, "internal_error", "The service failed on this session; its log says why.")
log = logging.getLogger("asr_dro.serve")


class LiveJob:
    """A job of kind ``live``; see ``live_wire``.

    It never waits: a client that does not read what is said to it is not listened to.

    Args:
        number: the front's number of it.
        job: what is to be done.
        descriptor: the socket.
        recognisers: name -> model.
    """

    seconds_left = 0.0
    is_live = True

    def __init__(
        self, number: int, job: Job, descriptor: int, recognisers: Mapping[str, Any]
    ) -> None:
        self.number, self.job = number, job
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(False)
        self._recogniser = recognisers[job.model]
        self._frames, self._unsent = FrameReader(), bytearray()
        self._events: Iterator[dict] = iter(())
        self._is_over = self._is_working = False
        self._session: LiveSession | None = None
        self._fault = ""
        self._seconds = 0.0  # of sessions before the last change of settings

    @property
    def is_ready(self) -> bool:
        """Whether a step would find something to do."""
        if self._unsent:
            return bool(select.select([], [self.socket], [], 0)[1])
        return self._is_working or bool(select.select([self.socket], [], [], 0)[0])

    @property
    def waits_for(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """Sockets to be read and to be written, of which one must be ready first."""
        return ([], [self.socket]) if self._unsent else ([self.socket], [])

    def step(self) -> Done | Failed | None:
        """Do a little; the last event once the client is gone."""
        try:
            if self._unsent:
                self._send(b"")
            elif event := next(self._events, None):
                self._send(json.dumps(event, ensure_ascii=False).encode() + b"\n")
            else:
                self._listen()
        except (ConnectionError, json.JSONDecodeError):
            self._is_over = True
        except Exception:
            log.exception("live job %s failed", self.job.id)
            return INTERNAL
        return Done({}, self._heard, self.job.model) if self._is_over else None

    def close(self) -> None:
        """Free all that it holds."""
        self.socket.close()

    @property
    def _heard(self) -> float:
        return self._seconds + (self._session.heard if self._session else 0.0)

    def _send(self, line: bytes) -> None:
        self._unsent += line
        try:
            num = self.socket.send(self._unsent)
        except BlockingIOError:
            return
        del self._unsent[:num]

    def _listen(self) -> None:
        frame = self._frames.next()
        if frame is None:
            self._is_working = False
            try:
                data = self.socket.recv(MOST_BYTES)
            except BlockingIOError:
                return
            self._is_over = not data
            self._frames.feed(data)
            frame = self._frames.next()
        if frame:
            self._is_working, self._events = True, self._answers(*frame)

    def _answers(self, kind: bytes, payload: bytes) -> Iterator[dict]:
        """What is said on a frame; a model's fault is one of the item, not of the session, and
        where commits end items it is told of then."""
        fault, self._fault = self._fault, ""
        try:
            if kind == SETTINGS:
                yield from self._set(LiveSettings(**json.loads(payload)))
            elif kind == CLEAR:
                self._session.clear()
                yield {"type": "cleared"}
            elif fault and kind == AUDIO:
                self._fault = fault
            elif fault:
                yield {"type": "failed", "message": fault, "by": "commit"}
            elif kind == AUDIO:
                yield from self._told(self._session.feed(payload), "pause")
            elif kind == COMMIT:
                yield from self._told(self._session.commit(), "commit")
        except UserError as error:
            self._session.clear()
            if kind == AUDIO and self._session.turns.silence is None:
                self._fault = in_one_line(error)
            else:
                by = "commit" if kind == COMMIT else "pause"
                yield {"type": "failed", "message": in_one_line(error), "by": by}

    def _set(self, settings: LiveSettings) -> Iterator[dict]:
        """A new session; what was said in the one before is over."""
        if self._session:
            yield from self._told(self._session.commit(), "settings")
            self._seconds += self._session.heard
        ends = TurnEnds(settings.silence, settings.threshold)
        self._session = LiveSession.of(self._recogniser, settings.language, settings.rate, ends)
        yield {"type": "settings", "is_exact": self._session.is_exact}

    def _told(self, events: Iterator[Event], by: str) -> Iterator[dict]:
        for event in events:
            match event:
                case Started(seconds):
                    yield {"type": "started", "seconds": self._seconds + seconds}
                case Stopped(seconds):
                    yield {"type": "stopped", "seconds": self._seconds + seconds}
                case Interim(words, guess):
                    yield {"type": "interim", "words": self._words(words), "guess": guess}
                case Final():
                    yield self._final(event, by)

    def _final(self, event: Final, by: str) -> dict:
        start, end = self._seconds + event.start, self._seconds + event.end
        words = self._words(event.words)
        return {"type": "final", "text": event.text, "words": words, "lang": event.lang,
                "start": start, "end": end, "by": by}  # fmt: skip

    def _words(self, words: tuple) -> list[dict]:
        found = [asdict(word) for word in words]
        for word in found:
            word["start"] += self._seconds
            word["end"] += self._seconds
        return found
