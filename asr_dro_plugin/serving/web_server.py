"""uvicorn's server over the application, which leaves signals and models to ``serving.server``."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

import uvicorn

from asr_dro_plugin.serving.app import create_app
from asr_dro_plugin.serving.connections import connection_class
from asr_dro_plugin.serving.service import AbsPool, Service
from asr_dro_plugin.serving.settings import BACKLOG, ServiceSettings

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LAST_ANSWERS = 3  # seconds for answers that are being read when all work is done
MOST_MESSAGE = 4 << 20  # bytes of a websocket's message: a minute of sound


class WebServer(uvicorn.Server):
    """The application at work.

    Args:
        stop: is called for each signal.

    Attributes:
        service: what the routes share.
    """

    def __init__(self, settings: ServiceSettings, pool: AbsPool, stop: Callable[[], None]) -> None:
        app = create_app(settings, pool)
        super().__init__(uvicorn.Config(
            app, http=connection_class(settings.body_timeout), log_config=None, access_log=False,
            lifespan="off", server_header=False, proxy_headers=False, backlog=BACKLOG,
            ws_max_size=MOST_MESSAGE, ws_max_queue=4, ws_per_message_deflate=False,
            root_path=settings.root_path, timeout_graceful_shutdown=LAST_ANSWERS,
        ))  # fmt: skip
        self.service: Service = app.state.service
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have ``stop`` called, instead of an end that uvicorn makes."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
