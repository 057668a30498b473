"""Warnings from before ESPnet sets up the log, kept until it has."""

import logging
from types import TracebackType


class EarlyLog(logging.Handler):
    """Keeps what is logged within ``with`` where there is no log yet.

    Without any handler the first ``logging.warning`` would set up a log of its own, and ESPnet's
    settings (the level above all) would come too late to have an effect.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> "EarlyLog":
        if not logging.getLogger().handlers:
            logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        if error is not None and logging.lastResort is not None:  # there will be no log
            for record in self.records:
                logging.lastResort.handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)

    def tell(self) -> None:
        """Say all of it in the log that there is now."""
        root = logging.getLogger()
        for record in self.records:
            if root.isEnabledFor(record.levelno):
                root.handle(record)
        self.records.clear()
