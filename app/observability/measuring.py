"""Counting and timing requests."""

from time import perf_counter

from flask import Flask, Response, g, request
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from app.extensions import db
from app.observability import metrics


def init_app(app: Flask) -> None:
    """Measure every request and every connection. Comes before other hooks, to miss nothing."""
    app.before_request(_begin_to_measure)
    app.after_request(_measure)
    with app.app_context():
        event.listen(db.engine, "checkout", _count_as_taken)
        event.listen(db.engine, "checkin", _count_as_given_back)


def _begin_to_measure() -> None:
    g.began = perf_counter()


def _measure(response: Response) -> Response:
    seconds = perf_counter() - g.began
    # Clients can send any path and method. Those without a route share one label.
    if request.url_rule is None:
        metrics.count_request("any", "unmatched", response.status_code, seconds)
    else:
        metrics.count_request(request.method, request.url_rule.rule, response.status_code, seconds)
    return response


def _count_as_taken(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    record.info["is_counted"] = True
    metrics.CONNECTIONS_IN_USE.inc()


def _count_as_given_back(_connection: object, record: ConnectionPoolEntry) -> None:
    if record.info.pop("is_counted", False):
        metrics.CONNECTIONS_IN_USE.dec()
