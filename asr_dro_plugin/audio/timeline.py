"""Where decoded frames lie on the time line that a container's stamps draw; all in samples.

Stamps are rounded, jitter, and run by another clock than the samples.  So a frame follows on the
last one where its stamp is near; a jump is believed when the next stamp confirms it; and a small
error of one sign that lasts is mended, so that none adds up.  Stamps that step back a little are a
stretch that the file holds twice: it is placed once.  (Writers see to it that stamps rise.)
"""

NEAR = 0.1  # seconds: a stamp so near says that the frame follows on
SMALL = 0.01  # seconds of lasting error that are left alone
TWICE = 1.0  # seconds: stamps that step back no further repeat what was placed
ROUNDED = 0.01  # seconds: shorter frames may have the same stamp
LASTS = 1.0  # seconds after which an error of one sign counts as lasting


class Timeline:
    """Places frame after frame.

    Args:
        rate: samples a second.
        is_chain: whether stamps step back by right, where one stream follows another.

    Attributes:
        end: sample after the last one that was placed.
        num_repeated: samples left out since they were placed before.
        num_crowded: samples for which rising stamps left no room.
        steps_back: how often stamps began anew, from an earlier time.
    """

    def __init__(self, rate: int, is_chain: bool = False) -> None:
        self._near, self._small, self._lasts = (round(s * rate) for s in (NEAR, SMALL, LASTS))
        self._far, self._rounded = round(TWICE * rate), round(ROUNDED * rate)
        self._twice = 0 if is_chain else self._far
        self.end = self.steps_back = self.num_repeated = self.num_crowded = 0
        self._last: int | None = None  # stamp
        self._shift = 0  # from stamps to places
        self._begun = False
        self._forget()

    def place(self, at: int | None, length: int, following: int | None) -> tuple[int, int]:
        """Place a frame: (samples of silence before it, samples of its own to leave out).

        Args:
            at: its stamp; None where it has none.
            length: its samples.
            following: the stamp of the frame after it, if it is known.
        """
        silence = left_out = 0
        if at is not None and self._is_repeated(at, length):
            self.num_repeated += length
            return 0, length
        if at is not None:
            self._last = at
            correction = self._correction(at, length, following)
            silence, left_out = max(correction, 0), min(max(-correction, 0), length)
            self.num_crowded += left_out
        self._begun = True
        self.end += silence + length - left_out
        return silence, left_out

    def _is_repeated(self, at: int, length: int) -> bool:
        if self._last is None or not self._last - self._twice <= at <= self._last:
            return False
        return at < self._last or length >= self._rounded

    def skip(self, length: int) -> None:
        """So much is silence, for a reason of its own."""
        self.end += length

    def _correction(self, at: int, length: int, following: int | None) -> int:
        error = at + self._shift - self.end
        if not self._begun:
            return self._first(error)
        if abs(error) <= self._near:
            return self._lasting(error, length)
        if following is None or abs(following - at - length) > self._near:
            return 0  # a stamp that stands alone
        self._forget()
        if error > 0:
            return error
        self._shift -= error
        if -error > self._far:
            self.steps_back += 1
        else:
            self.num_crowded -= error
        return 0

    def _first(self, error: int) -> int:
        if error < 0:
            self._shift -= error
        return error if error > self._small else 0

    def _lasting(self, error: int, length: int) -> int:
        """The error, as far as all frames of the last second had it."""
        if abs(error) <= self._small or (error > 0) != (self._least > 0):
            self._forget()
        if abs(error) > self._small:
            self._least = min(self._least or error, error, key=abs)
            self._age += length
        if self._age < self._lasts:
            return 0
        least = self._least
        self._forget()
        return least

    def _forget(self) -> None:
        self._least, self._age = 0, 0
