"""What is counted and measured, for Prometheus. The names are what dashboards and alerts know.

Under gunicorn each worker counts in files of its own, which a scrape adds up,
whichever worker answers it; ``gunicorn.conf.py`` makes the folder. Elsewhere
the numbers are those of the one process.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.values import ValueClass

CONTENT_TYPE = CONTENT_TYPE_LATEST

# A read takes a few milliseconds, a hash a quarter of a second, a client waits five seconds.
LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("http_requests", "Requests that were answered.", ["method", "route", "status"])
LATENCY = Histogram(
    "http_request_duration_seconds",
    "From the first look at a request to its answer.",
    ["route"],
    buckets=LATENCY_BUCKETS,
)
SECURITY_EVENTS = Counter(
    "security_events", "What happened to accounts, by the audit log's vocabulary.", ["event"]
)
LIMITER_FALLBACKS = Counter(
    "rate_limiter_fallbacks", "Times that rate limits were counted in memory, Redis being away."
)
HASHES_WAITING = Gauge(
    "password_hashes_waiting",
    "Callers who wait for a thread that hashes.",
    multiprocess_mode="livesum",
)
HASHES_RUNNING = Gauge(
    "password_hashes_running", "Passwords being hashed.", multiprocess_mode="livesum"
)
HASH_WAIT = Histogram(
    "password_hash_wait_seconds",
    "From the request for a hash to its beginning.",
    buckets=WAIT_BUCKETS,
)
HASHES_REFUSED = Counter(
    "password_hashes_refused", "Callers for whom nothing was hashed, by the reason.", ["reason"]
)
BACKGROUND_WORK_RUNNING = Gauge(
    "background_work_running",
    "Processes that do this work beside the requests; 0 where nobody does.",
    ["work"],
    multiprocess_mode="livesum",
)
BACKGROUND_WORK_FAILURES = Counter(
    "background_work_failures", "Failures of the work beside the requests.", ["work"]
)
CONNECTIONS_IN_USE = Gauge(
    "database_connections_in_use",
    "Connections that were taken from the pools and not given back yet.",
    multiprocess_mode="livesum",
)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """One request more, on ``route``: the rule that matched, never the path that was sent."""
    _requests(method, route, status).inc()
    _latency(route).observe(seconds)


# Looking a metric up by its labels costs as much as counting. What is found belongs to no
# process: after a fork it counts in the new one's file.
@cache
def _requests(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, str(status))


@cache
def _latency(route: str) -> Histogram:
    return LATENCY.labels(route)


def exposition(read_now: Mapping[str, tuple[str, float]]) -> bytes:
    """All metrics as text; ``read_now`` adds some, name → (help, value), of this very moment."""
    registry = CollectorRegistry()
    if is_multiprocess():
        _Workers(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(_ReadNow(read_now))
    return generate_latest(registry)


def is_multiprocess() -> bool:
    """Whether several processes add up what they count."""
    return bool(ValueClass._multiprocess)


def forget_process(pid: int) -> None:
    """A worker has ended: what was going on in it goes on no more. Its counts stay."""
    if is_multiprocess():
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


class _Workers(MultiProcessCollector):
    """The files of all workers, but for that of one which begins at this moment: it is empty.

    The library would raise.
    """

    @staticmethod
    def merge(files: Iterable[str], accumulate: bool = True) -> Any:
        begun = [file for file in files if not _is_empty(file)]
        return MultiProcessCollector.merge(begun, accumulate)  # type: ignore[no-untyped-call]


def _is_empty(file: str) -> bool:
    try:
        return Path(file).stat().st_size == 0
    except FileNotFoundError:
        # Of a worker that ended; the library knows for which files that is all right.
        return False


class _ReadNow(Collector):
    def __init__(self, values: Mapping[str, tuple[str, float]]) -> None:
        self._values = values

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return [
            GaugeMetricFamily(name, help_text, value=value)
            for name, (help_text, value) in self._values.items()
        ]


# What a scrape reads: name → sentence and number.
Readings = dict[str, tuple[str, float]]


def add_reading(app: Flask, read: Callable[[], Readings]) -> None:
    """Call ``read`` at each scrape. It may ask the database."""
    app.extensions.setdefault("metrics", []).append(read)


def read_at_scrape(app: Flask) -> Readings:
    """What every part reads at a scrape. Raises what the database raises where it is away."""
    found: Readings = {}
    for read in app.extensions.get("metrics", []):
        found |= read()
    return found
