"""Where the figures, pictures and sounds of a training go beside the log.

``metrics.jsonl`` is always written; ``trackers`` in the configuration names the others.  None of
them can stop a training or change a number of it: an error is one warning and the end of that
tracker, and whatever it draws from the random generators is drawn back.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.errors import in_one_line
from asr_dro_plugin.espnet.process.randomness import RandomState
from asr_dro_plugin.experiment.metrics import Record

CLOSE_SECONDS = 60.0


class Tracker:
    """One place; a member overrides what it can take.

    ``step`` counts batches.  Pictures and sounds are files of the experiment already.
    """

    def scalars(self, record: Record) -> None:
        """Figures of a moment."""

    def media(self, name: str, path: Path, step: int) -> None:
        """A picture (PNG) or a sound (WAV); ``name`` is such as ``augmentation/eng_0001``."""

    def close(self) -> None:
        """Nothing more will come."""


class MetricsTracker(Tracker):
    """Appends to ``metrics.jsonl``, each line at once."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8", newline="\n")

    def scalars(self, record: Record) -> None:
        """One line."""
        self._stream.write(f"{record.to_json()}\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class Trackers(Tracker):
    """All trackers of a run as one, each apart from the others and from the training.

    Args:
        makers: what starts each tracker, by name.
        close_seconds: how long to wait for one that does not come to its end.
    """

    def __init__(
        self, makers: Mapping[str, Callable[[], Tracker]], close_seconds: float = CLOSE_SECONDS
    ) -> None:
        self.active: dict[str, Tracker] = {}
        self._close_seconds = close_seconds
        for name, make in makers.items():
            with self._apart(name):
                self.active[name] = make()

    def scalars(self, record: Record) -> None:
        """Give figures to all."""
        self._each(lambda tracker: tracker.scalars(record))

    def media(self, name: str, path: Path, step: int) -> None:
        """Give a picture or a sound to all."""
        self._each(lambda tracker: tracker.media(name, path, step))

    def close(self) -> None:
        """Close all, and wait no longer than ``close_seconds`` for any."""
        for name, tracker in self.active.copy().items():
            thread = threading.Thread(target=self._close, args=(name, tracker), daemon=True)
            thread.start()
            thread.join(self._close_seconds)
            if thread.is_alive():
                logging.warning(
                    "Tracker %s did not close within %g s: not waited for any longer.", name,
                    self._close_seconds,
                )  # fmt: skip
        self.active.clear()

    def _close(self, name: str, tracker: Tracker) -> None:
        with self._apart(name):
            tracker.close()

    def _each(self, work: Callable[[Tracker], None]) -> None:
        for name, tracker in self.active.copy().items():
            with self._apart(name):
                work(tracker)

    @contextlib.contextmanager
    def _apart(self, name: str) -> Iterator[None]:
        """Drop the tracker where it fails; put the random generators back."""
        state = RandomState.now()
        try:
            yield
        except (Exception, SystemExit) as error:  # some leave the process over a missing account
            self.active.pop(name, None)
            logging.warning(
                "Tracker %s is left out, and the training goes on: %s", name, _why(error)
            )
        finally:
            state.restore()


def _why(error: BaseException) -> str:
    """One line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed. To have it: pip install {error.name}."
    words = in_one_line(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
