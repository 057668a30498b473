"""One progress bar over all parts of a job, on stderr."""

import sys
import time

WIDTH = 20
PLAIN_SECONDS = 30.0  # between two lines where stderr is no terminal
DRAW_SECONDS = 0.25
# A rate is told by as many steps and seconds after the first report: before that the start-up and
# the slow first steps would promise days.
RATE_STEPS, RATE_SECONDS = 5, 5.0


def clock(seconds):
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def read_progress(path):
    """(done, total, note) from the file that a part writes, None while there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            done, total, *note = stream.read().split(None, 2)
        return int(done), int(total), note[0].strip() if note else ""
    except (OSError, ValueError):
        return None


def sum_progress(parts):
    """Sum of the parts' (done, total, note); parts that have not reported count as the mean one.

    Args:
        parts: one entry for each part, None where it has not reported.

    Returns:
        (done, total, whether the total is an estimate), or None when no part has reported.
    """
    known = [part for part in parts if part]
    if not known:
        return None
    done, total = sum(part[0] for part in known), sum(part[1] for part in known)
    estimated = len(known) < len(parts)
    return done, round(total * len(parts) / len(known)), estimated


class Bar:
    """Draws the bar in place on a terminal, else a plain line now and then."""

    def __init__(self, title, stream=None):
        self.title = title
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.started = self.drawn = time.monotonic()
        self.first = None
        self.length = 0

    def line(self, done, total, estimated, note=""):
        """The bar as text."""
        share = min(done / total, 1.0) if total > 0 else 0.0
        filled = int(share * WIDTH)
        about = "~" if estimated else ""
        words = [
            f"{self.title}  [{'#' * filled}{'.' * (WIDTH - filled)}]  {done}/{about}{total}",
            f"{100 * share:.0f} %",
            self.remaining(done, total),
            note,
        ]
        return "  ".join(word for word in words if word)

    def remaining(self, done, total):
        """Time left by the mean rate, in words; before there is a rate, the time gone."""
        now = time.monotonic()
        if self.first is None:
            self.first = (done, now)  # what an earlier run had done already is no rate of ours
        steps, seconds = done - self.first[0], now - self.first[1]
        few = steps < min(RATE_STEPS, total - self.first[0]) or seconds < RATE_SECONDS
        if done >= total or few:
            return f"{clock(now - self.started)} gone"
        return f"{clock((total - done) * seconds / steps)} left"

    def show(self, done, total, estimated=False, note=""):
        """Draw, if it is time to."""
        now = time.monotonic()
        if now - self.drawn < (DRAW_SECONDS if self.terminal else PLAIN_SECONDS):
            return
        self.drawn = now
        self.write(self.line(done, total, estimated, note), end="" if self.terminal else "\n")

    def close(self, done, total, estimated=False, note=""):
        """Leave the last state on the terminal."""
        if self.terminal and self.length:
            self.write(self.line(done, total, estimated, note), end="\n")

    def write(self, text, end):
        """One line, over the last one where that is possible."""
        try:
            if self.terminal:
                text = "\r" + text[:150].ljust(self.length)
                self.length = len(text.rstrip()) - 1
            self.stream.write(text + end)
            self.stream.flush()
        except OSError:
            self.terminal = False  # the terminal went away; the work goes on
