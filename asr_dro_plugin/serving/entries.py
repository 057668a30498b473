"""A job on its way through the pool, and its events on their way back."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator
from typing import Protocol

from asr_dro_plugin.serving.live_wire import LIVE
from asr_dro_plugin.serving.protocol import Done, Event, Failed, Job, Partial
from asr_dro_plugin.serving.turns import SHORT, guess_seconds


class Holder(Protocol):
    """Who has a job."""

    def cancel(self, entry: "Entry") -> None:
        """Stop it."""


class Entry:
    """A job on its way: waiting, or at a worker."""

    def __init__(self, number: int, job: Job, descriptor: int) -> None:
        self.number, self.job, self.descriptor = number, job, descriptor
        self.seconds = guess_seconds(os.fstat(descriptor).st_size)
        self.tries = self.crashes = self.kills = 0
        self.worker: Holder | None = None
        self._partial: Partial | None = None
        self._end: Done | Failed | None = None
        self._reached = -1.0  # seconds decoded, in any try
        self._news = asyncio.Event()

    @property
    def kind(self) -> str:
        """``live``, ``long`` or ``short``, in the order in which workers take them."""
        if self.job.kind == LIVE:
            return LIVE
        return "long" if self.seconds > SHORT else "short"

    @property
    def is_long(self) -> bool:
        return self.kind == "long"

    def put(self, event: Event) -> None:
        """An event for the reader; one that it has not taken yet is brought up to date."""
        if not isinstance(event, Partial):
            self._end = event
        elif event.seconds_done > self._reached:  # else of a second try, and told before
            self._reached = event.seconds_done
            words = [*self._partial.words, *event.words] if self._partial else event.words
            self._partial = dataclasses.replace(event, words=words)
            self.seconds = (event.duration or self.seconds) - event.seconds_done
        self._news.set()

    async def events(self) -> AsyncIterator[Event]:
        """All events, up to the last."""
        while True:
            await self._news.wait()
            self._news.clear()
            partial, self._partial = self._partial, None
            if partial and partial.seconds_done > 0:
                yield partial
            if self._end:
                yield self._end
                return
