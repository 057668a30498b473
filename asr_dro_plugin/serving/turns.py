"""Whose turn it is: open recordings by rounds, short ones first, and none waits for ever."""

from collections import deque
from typing import Protocol

SHORT = 60.0  # seconds left to decode: what has no more is short
LONG_TURN = 4  # every so many turns the long ones go on, however many short ones wait
BYTES_A_SECOND = 6000  # of compressed speech: the guess until a header tells


class Open(Protocol):
    """A recording of which ``seconds_left`` are to be decoded, by its header or a guess.

    What is still being said (``is_live``) is ready when a piece of it has come.
    """

    seconds_left: float
    is_live: bool
    is_ready: bool


class Turns[T: Open]:
    """The open recordings of one worker."""

    def __init__(self) -> None:
        self._open: deque[T] = deque()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, recording: T) -> None:
        """One more, behind the others."""
        self._open.append(recording)

    def remove(self, recording: T) -> None:
        """One fewer."""
        self._open.remove(recording)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing can be done now."""
        return not any(each.is_ready for each in self._open)

    def next(self) -> T | None:
        """The recording whose turn it is, None where none is ready; it goes behind the others.

        Every other turn is for what is still being said: someone waits for each word of it.
        """
        self._turn += 1
        live = [each for each in self._open if each.is_live and each.is_ready]
        rest = [each for each in self._open if not each.is_live]
        if live and (self._turn % 2 or not rest):
            self._open.remove(live[0])
            self._open.append(live[0])
            return live[0]
        return self._next_whole(rest) if rest else None

    def _next_whole(self, recordings: list[T]) -> T:
        short = [each for each in recordings if each.seconds_left <= SHORT]
        long = [each for each in recordings if each.seconds_left > SHORT]
        is_long_turn = self._turn % LONG_TURN == 0
        chosen = (long or short)[0] if is_long_turn else (short or long)[0]
        if chosen.seconds_left > SHORT:  # a short one is finished before the next one begins
            self._open.remove(chosen)
            self._open.append(chosen)
        return chosen


def guess_seconds(num_bytes: int) -> float:
    """Seconds that an upload may have, before anybody has looked inside."""
    return num_bytes / BYTES_A_SECOND
