"""What is wrong with a file's sound: what refuses it, and what is told while the rest is read."""

import logging

from asr_dro_plugin.errors import UserError

MAX_LOST = 0.05  # of what is asked for: with more of it lost, there is no speech to trust


class AudioError(UserError):
    """One file that cannot be decoded; the message names it, the fact and the remedy."""

    def __init__(self, message: str, reason: str = "unreadable audio") -> None:
        super().__init__(message)
        self.reason = reason


class Losses:
    """What a reader could not give of one file, and what it says of that; all in samples.

    Args:
        name: of the file, for messages.
        rate: Hz.
    """

    def __init__(self, name: str, rate: int) -> None:
        self.name, self.rate = name, rate
        self.num_packets = 0
        self._spans: list[tuple[int, int]] = []
        self._gaps: list[tuple[int, int]] = []
        self._notes: dict[str, None] = {}

    @property
    def num_gaps(self) -> int:
        """How often the file had nothing."""
        return len(self._gaps)

    def add(self, start: int, length: int, num_packets: int = 0) -> None:
        """Note that ``length`` samples from ``start`` on were in the file and are lost."""
        self.num_packets += num_packets
        self._spans.append((start, start + length))

    def add_gap(self, start: int, length: int) -> None:
        """Note that the file has nothing for ``length`` samples from ``start`` on."""
        self._gaps.append((start, length))

    def say(self, note: str) -> None:
        """A sentence about the file, once."""
        self._notes[note] = None

    def check(self, first: int, last: int) -> None:
        """Refuse a stretch of which too much is lost.

        Raises:
            AudioError: more than ``MAX_LOST`` of it.
        """
        spans = [(max(start, first), min(end, last)) for start, end in self._spans]
        lost = sum(max(0, end - start) for start, end in spans)
        if lost > MAX_LOST * max(last - first, 1):
            of = f"{lost / self.rate:.2f} of {(last - first) / self.rate:.2f} s"
            raise AudioError(
                f"{self.name} is damaged: {of} cannot be decoded (allowed {100 * MAX_LOST:g} %). "
                "Copy it again, or leave it out.",
                "damaged audio",
            )

    def tell(self) -> None:
        """Warn of everything in one line."""
        if words := [*self._of_spans(), *self._of_gaps(), *self._notes]:
            logging.warning("%s %s.", self.name, "; it ".join(words))

    def _of_spans(self) -> list[str]:
        lost = sum(end - start for start, end in self._spans)
        if not lost and not self.num_packets:
            return []
        packets = f"{self.num_packets} bad packets: " if self.num_packets else ""
        first = self._spans[0][0] / self.rate
        return [
            f"is damaged ({packets}{lost / self.rate:.2f} s are taken as silence, the first at "
            f"{first:.2f} s)"
        ]

    def _of_gaps(self) -> list[str]:
        if not self._gaps:
            return []
        seconds = sum(length for _, length in self._gaps) / self.rate
        first = self._gaps[0][0] / self.rate
        return [
            f"has {len(self._gaps)} gaps in its time stamps ({seconds:.2f} s are taken as silence, "
            f"the first at {first:.2f} s)"
        ]
