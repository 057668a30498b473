"""Seconds of each phase of a start, a log line each: what one waits for before the first step."""

import logging
import time


class Phases:
    """A clock that runs from one phase to the next.

    The log is set up only after some phases (imports, options): they are told with the first one
    after it.
    """

    def __init__(self) -> None:
        self._began = self._ended = time.perf_counter()
        self._untold: list[str] = []
        self._is_over = False

    @property
    def seconds(self) -> float:
        """Since the first phase began."""
        return time.perf_counter() - self._began

    def end(self, phase: str, last: bool = False) -> None:
        """The phase that began where the one before ended is over; after the last one all is."""
        if self._is_over:
            return
        self._is_over = last
        now = time.perf_counter()
        seconds, in_all = now - self._ended, now - self._began
        self._ended = now
        self._untold.append(f"Start: {phase} {seconds:.1f} s, {in_all:.1f} s in all")
        # Without a handler ``logging.info`` would make one, and ESPnet's settings came too late.
        if logging.getLogger().handlers:
            for line in self._untold:
                logging.info("%s", line)
            self._untold.clear()


# Of this process: it begins where this module is imported, before all that is slow.
START = Phases()
