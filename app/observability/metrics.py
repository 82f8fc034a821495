"""The metrics for Prometheus. Dashboards and alerts use their names.

Under gunicorn each worker counts in files of its own. A scrape adds them up,
and any worker can answer it. ``gunicorn.conf.py`` makes the folder. Elsewhere
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
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.values import ValueClass

from app.version import VERSION

CONTENT_TYPE = CONTENT_TYPE_LATEST

# A read takes a few milliseconds, a hash a quarter of a second, a client waits five seconds.
LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("http_requests", "Requests that were answered.", ["method", "route", "status"])
LATENCY = Histogram(
    "http_request_duration_seconds",
    "Seconds from the arrival of a request to its answer.",
    ["route"],
    buckets=LATENCY_BUCKETS,
)
SECURITY_EVENTS = Counter(
    "security_events", "Security events, by their names in the audit log.", ["event"]
)
SECOND_FACTORS = Counter(
    "mfa", "Second proofs that were given, by their kind and their result.", ["method", "result"]
)
PROVIDER_SIGN_INS = Counter(
    "federated", "Sign-ins with other providers, by their result.", ["provider", "result"]
)
LIMITER_FALLBACKS = Counter(
    "rate_limiter_fallbacks", "Times that limits were counted in memory because Redis failed."
)
HASHES_WAITING = Gauge(
    "password_hashes_waiting",
    "Requests that wait until their password is hashed.",
    multiprocess_mode="livesum",
)
HASHES_RUNNING = Gauge(
    "password_hashes_running", "Passwords being hashed.", multiprocess_mode="livesum"
)
HASH_WAIT = Histogram(
    "password_hash_wait_seconds",
    "Seconds that a request waited until the hashing of its password began.",
    buckets=WAIT_BUCKETS,
)
HASHES_REFUSED = Counter(
    "password_hashes_refused", "Passwords that were not hashed, by the reason.", ["reason"]
)
BREACHED_LOOK_UPS = Counter(
    "breached_password_look_ups",
    "New passwords that were looked up among breached ones, by the result.",
    ["result"],
)
BACKGROUND_WORK_RUNNING = Gauge(
    "background_work_running",
    "Processes that do this background work; 0 if none does.",
    ["work"],
    multiprocess_mode="livesum",
)
BACKGROUND_WORK_FAILURES = Counter(
    "background_work_failures", "Failures of the background work.", ["work"]
)
CONNECTIONS_IN_USE = Gauge(
    "database_connections_in_use",
    "Connections that were taken from the pools and not given back yet.",
    multiprocess_mode="livesum",
)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request. ``route`` is the rule that matched, never the path that was sent."""
    _requests(method, route, status).inc()
    _latency(route).observe(seconds)


# Looking a metric up by its labels takes as long as counting. The metric belongs to no process:
# after a fork it counts in the file of the new one.
@cache
def _requests(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, str(status))


@cache
def _latency(route: str) -> Histogram:
    return LATENCY.labels(route)


def exposition(read_now: Mapping[str, tuple[str, float]]) -> bytes:
    """All metrics as text. ``read_now`` adds values of this moment, name → (help, value)."""
    registry = CollectorRegistry()
    if is_multiprocess():
        _Workers(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(_ReadNow(read_now))
    registry.register(_Build())
    return generate_latest(registry)


def is_multiprocess() -> bool:
    """Whether the counts of several processes are added up."""
    return bool(ValueClass._multiprocess)


def forget_process(pid: int) -> None:
    """Take an ended worker out of the live gauges, such as running hashes. Its counts stay."""
    if is_multiprocess():
        mark_process_dead(pid)  # type: ignore[no-untyped-call]


class _Workers(MultiProcessCollector):
    """The files of all workers, without empty ones, at which the library would raise.

    The file of a worker that is just starting is empty.
    """

    @staticmethod
    def merge(files: Iterable[str], accumulate: bool = True) -> Any:
        begun = [file for file in files if not _is_empty(file)]
        return MultiProcessCollector.merge(begun, accumulate)  # type: ignore[no-untyped-call]


def _is_empty(file: str) -> bool:
    try:
        return Path(file).stat().st_size == 0
    except FileNotFoundError:
        # The worker has ended. The library knows for which files that is all right.
        return False


class _ReadNow(Collector):
    def __init__(self, values: Mapping[str, tuple[str, float]]) -> None:
        self._values = values

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return [
            GaugeMetricFamily(name, help_text, value=value)
            for name, (help_text, value) in self._values.items()
        ]


class _Build(Collector):
    """The version, as Prometheus knows versions: a label of a metric that is always 1.

    The name begins with the application's, because other programs that the
    same Prometheus asks have a ``build_info`` too.
    """

    def collect(self) -> Iterable[InfoMetricFamily]:
        help_text = "The version of the code; always 1."
        return [InfoMetricFamily("user_system_build", help_text, {"version": VERSION})]


# The values that are read at a scrape: name → (help, value).
Readings = dict[str, tuple[str, float]]


def add_reading(app: Flask, read: Callable[[], Readings]) -> None:
    """Call ``read`` at each scrape. It may ask the database."""
    app.extensions.setdefault("metrics", []).append(read)


def read_at_scrape(app: Flask) -> Readings:
    """Read the values of every part. Raises the database's error if it is away."""
    found: Readings = {}
    for read in app.extensions.get("metrics", []):
        found |= read()
    return found
