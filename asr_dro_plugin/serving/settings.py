"""Settings of the service: what may be chosen, its defaults and its limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from asr_dro_plugin.base.processors import num_processors
from asr_dro_plugin.base.settings import check_kind, check_number, check_word
from asr_dro_plugin.errors import UserError

LOG_LEVELS = ("debug", "info", "warning", "error")
MEGABYTE = 1_000_000
ORIGIN = re.compile(r"\*|https?://[^/\s]+")
KEY = re.compile(r"[!-~]*")
BACKLOG = 2048  # connections in the kernel's queue
LONGEST_RETRY = 60  # seconds, the most that Retry-After asks for


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """All that the service is told.

    Args:
        models: name -> exported folder or packed zip; the first is the default where there is
            one only.
        host: address to listen at; 127.0.0.1 is this machine alone.
        port: TCP port; 0 takes a free one and prints it.
        workers: processes that transcribe; 0 is one for each processor and ``threads``.
        threads: of onnxruntime in each worker.
        max_queue: recordings that may wait or be transcribed at once; more are sent away with 503.
        max_upload_mb: largest upload, in 10^6 bytes.
        max_seconds: longest recording, counted while it is decoded.
        body_timeout: seconds without a byte of a body, after which the client is given up; a whole
            body may take ten times as long.
        live_sessions: people who may speak at once; more are sent away; 0 for none.
        live_seconds: of sound in one such session.
        live_idle: seconds without a message, after which a session is closed.
        drain_seconds: given to open recordings once a stop was asked for.
        api_key: bearer token that each request needs; empty for none.
        vad: whether silence is left out where a request does not say.
        origins: web origins whose pages may call the service (CORS); none by default.
        root_path: path below which a reverse proxy shows the service.
        log_level: one of ``LOG_LEVELS``.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0
    threads: int = 1
    max_queue: int = 256
    max_upload_mb: float = 500.0
    max_seconds: float = 4 * 3600.0
    body_timeout: float = 30.0
    live_sessions: int = 8
    live_seconds: float = 3600.0
    live_idle: float = 120.0
    drain_seconds: float = 30.0
    api_key: str = field(default="", repr=False)
    vad: bool = False
    origins: tuple[str, ...] = ()
    root_path: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        check_number("port", self.port, whole=True, least=0, most=65535)
        check_number("workers", self.workers, whole=True, least=0, most=256)
        check_number("threads", self.threads, whole=True, least=1, most=256)
        check_number("max_queue", self.max_queue, whole=True, least=1, most=100_000)
        check_number("max_upload_mb", self.max_upload_mb, above=0, most=100_000)
        check_number("max_seconds", self.max_seconds, above=0, most=7 * 86_400)
        check_number("body_timeout", self.body_timeout, above=0, most=3600)
        check_number("live_sessions", self.live_sessions, whole=True, least=0, most=1000)
        check_number("live_seconds", self.live_seconds, above=0, most=86_400)
        check_number("live_idle", self.live_idle, above=0, most=86_400)
        check_number("drain_seconds", self.drain_seconds, least=0, most=86_400)
        check_kind("vad", self.vad, {"bool"})
        check_word("log_level", self.log_level, LOG_LEVELS)
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin):
                raise UserError(f"origins has '{origin}', which no page has. Write one as "
                                "https://lab.example, without a path.")  # fmt: skip
        if not KEY.fullmatch(self.api_key):
            raise UserError("The API key has a character that no header can carry. Make one of "
                            "letters, digits and signs of ASCII, without spaces.")  # fmt: skip
        if self.root_path and not self.root_path.startswith("/"):
            raise UserError(f"root_path is '{self.root_path}'. Begin it with a slash.")

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload, in bytes."""
        return int(self.max_upload_mb * MEGABYTE)

    @property
    def num_workers(self) -> int:
        """Processes that transcribe."""
        return self.workers or max(1, num_processors() // self.threads)

    @property
    def default_model(self) -> str | None:
        """The model of a request that names none: the only one, if there is one only."""
        return next(iter(self.models)) if len(self.models) == 1 else None
