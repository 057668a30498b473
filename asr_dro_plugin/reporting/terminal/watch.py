"""``asr-dro watch``: a training, live on a terminal or as a line now and then."""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, LOG, METRICS
from asr_dro_plugin.reporting.read.run_state import RunState, RunWatcher
from asr_dro_plugin.reporting.terminal.watch_page import Look, render, summary

LOOK_AT_SIZE = 0.2  # seconds between looks at the size of the terminal
LINE_SECONDS = 60.0  # between lines about nothing but more batches, where there is no terminal
OVER = ("finished", "ended")
# Another page, as editors have it, without a cursor; and back.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(exp: Path, once: bool, interval: float, stream: TextIO | None = None) -> int:
    """Show a run until it is over or the user has seen enough.

    Args:
        once: one page of all languages, then done.
        interval: seconds between looks at the files.

    Raises:
        UserError: ``exp`` is no folder, or of something else.
    """
    stream = stream or sys.stdout
    watcher = RunWatcher(exp)
    _refuse_other_folders(exp, watcher)
    if once:
        print("\n".join(render(watcher.state(), _look(stream, None))), file=stream)
    elif stream.isatty():
        _on_terminal(watcher, interval, stream)
    else:
        _as_lines(watcher, interval, stream)
    return 0


def _refuse_other_folders(exp: Path, watcher: RunWatcher) -> None:
    """A folder without any file of a training is a mistaken path."""
    names = (CONFIG, LOG, "run.sh", METRICS, "tensorboard")
    if not any((exp / name).exists() for name in names):
        raise UserError(
            f"{exp} holds no training. Give the folder that stage 11 writes, exp/asr_train_..."
        )


def _as_lines(watcher: RunWatcher, interval: float, stream: TextIO) -> None:
    """A line at each epoch's end, where the run changes its condition, and now and then."""
    shown, done, until = "", -1, 0.0
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            state = watcher.state()
            news = f"{state.condition} {len(state.history.series('valid', 'loss').epochs)}"
            if news != shown or (state.done != done and time.monotonic() >= until):
                shown, done, until = news, state.done, time.monotonic() + LINE_SECONDS
                print(f"{time.strftime('%H:%M:%S')} {summary(state)}", file=stream, flush=True)
            if state.condition in OVER:
                return
            time.sleep(interval)


def _on_terminal(watcher: RunWatcher, interval: float, stream: TextIO) -> None:
    """Pages in place; what was last seen stays on the screen at the end."""
    state = watcher.state()
    with contextlib.suppress(KeyboardInterrupt), _other_page(stream):
        while True:
            _draw(state, stream)
            if state.condition in OVER:
                break
            _wait(interval, state, stream)
            state = watcher.state()
    page = render(state, _look(stream, max(10, _size().lines - 1)))
    print("\n".join(page), file=stream, flush=True)


def _wait(seconds: float, state: RunState, stream: TextIO) -> None:
    """Wait, and draw again at once where the terminal has got another size."""
    until, size = time.monotonic() + seconds, _size()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(LOOK_AT_SIZE, left))
        if _size() != size:
            size = _size()
            _draw(state, stream)


def _draw(state: RunState, stream: TextIO) -> None:
    lines = [f"{line}{CLEAR_LINE}" for line in render(state, _look(stream, _size().lines - 1))]
    stream.write(HOME + "\n".join(lines) + CLEAR_BELOW)
    stream.flush()


@contextlib.contextmanager
def _other_page(stream: TextIO) -> Iterator[None]:
    """The terminal's second page; whatever ends the block, the first one comes back."""

    def leave(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGHUP)}
    stream.write(ENTER)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the terminal is gone
            stream.write(LEAVE)
            stream.flush()
        for number, handler in before.items():
            signal.signal(number, handler)


def _size() -> os.terminal_size:
    return shutil.get_terminal_size((100, 40))


def _look(stream: TextIO, height: int | None) -> Look:
    unicode = "utf" in (getattr(stream, "encoding", "") or "").lower()
    colour = stream.isatty() and "NO_COLOR" not in os.environ
    return Look(_size().columns, height, unicode, colour)
