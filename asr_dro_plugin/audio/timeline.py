"""Where decoded frames lie on the time line that a container's stamps draw; all in samples.

Stamps are rounded, jitter, and run by another clock than the samples.  So a frame follows on the
last one where its stamp is near; a jump is believed when the next stamp confirms it; and a small
error of one sign that lasts is mended, so that none adds up.
"""

NEAR = 0.1  # seconds: a stamp so near says that the frame follows on
SMALL = 0.01  # seconds of lasting error that are left alone
LASTS = 1.0  # seconds after which an error of one sign counts as lasting


class Timeline:
    """Places frame after frame.

    Args:
        rate: samples a second.

    Attributes:
        end: sample after the last one that was placed.
        steps_back: how often stamps began anew, from an earlier time.
    """

    def __init__(self, rate: int) -> None:
        self._near, self._small, self._lasts = (round(s * rate) for s in (NEAR, SMALL, LASTS))
        self.end, self.steps_back = 0, 0
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
        if at is not None:
            correction = self._correction(at, length, following)
            silence, left_out = max(correction, 0), min(max(-correction, 0), length)
        self._begun = True
        self.end += silence + length - left_out
        return silence, left_out

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
        self.steps_back += 1
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
