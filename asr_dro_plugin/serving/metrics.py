"""Figures of the service for Prometheus: requests, latencies, queue, workers, seconds of audio.

Labels are routes, methods, statuses and served models: none that a client could make up.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")
OTHER = "other"
COUNTS = {  # of ``Pool.counts``
    "admitted": "Recordings let in and not answered yet",
    "waiting": "Recordings that no worker has begun",
    "running": "Recordings at a worker",
    "workers_ready": "Workers that can take a recording",
    "workers_restarted": "Workers begun anew since the start",
}
# seconds; a request is a health check or hours of speech
BUCKETS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


def known_method(method: str) -> str:
    """A method of HTTP, or ``OTHER``: clients can make any word up."""
    return method if method in METHODS else OTHER


class Metrics:
    """The figures of one service.

    Args:
        pool: read whenever somebody asks.
    """

    def __init__(self, pool: object) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("asr_dro_requests", "Requests answered",
                                 ["route", "method", "status"], registry=self.registry)  # fmt: skip
        self._seconds = Histogram("asr_dro_request_seconds", "From a request to its answer's end",
                                  ["route"], buckets=BUCKETS, registry=self.registry)  # fmt: skip
        self.audio_seconds = Counter("asr_dro_audio_seconds", "Seconds of audio transcribed",
                                     ["model"], registry=self.registry)  # fmt: skip
        self.upload_bytes = Counter("asr_dro_upload_bytes", "Bytes of audio received",
                                    registry=self.registry)  # fmt: skip
        self.registry.register(_PoolGauges(pool))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count one answer.

        Args:
            route: the route's template, None where no route was met.
        """
        self._requests.labels(route or OTHER, known_method(method), str(status)).inc()
        self._seconds.labels(route or OTHER).observe(seconds)

    def page(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _PoolGauges:
    """The pool as it is at the moment of asking."""

    def __init__(self, pool: object) -> None:
        self.pool = pool

    def collect(self) -> Iterator[GaugeMetricFamily]:
        text = "Whether models are loaded and recordings are taken"
        yield GaugeMetricFamily("asr_dro_ready", text, value=float(self.pool.ready))
        for name, value in self.pool.counts.items():
            yield GaugeMetricFamily(f"asr_dro_pool_{name}", COUNTS[name], value=value)
