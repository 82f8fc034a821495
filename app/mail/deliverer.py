"""The deliverer that comes with the server: one a machine, however many workers there are."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from flask import Flask

from app import one_a_machine
from app.mail import outbox
from app.models import OutboxMessage

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.05
# A mail server that is slow with one recipient keeps one of these waiting, not the others.
THREADS = 4


def start(app: Flask) -> threading.Event:
    """Deliver in the background until the returned event is set, or wait to take over."""
    return one_a_machine.start(app, "outbox", run)


def run(app: Flask, stop: threading.Event) -> None:
    """Deliver until told to stop, and then finish what was begun."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="outbox") as pool:
        under_way: set[Future[None]] = set()
        while not stop.is_set():
            under_way = {delivery for delivery in under_way if not delivery.done()}
            claimed = _claim(app, THREADS - len(under_way))
            under_way |= {pool.submit(_deliver, app, row) for row in claimed}
            if not claimed:
                stop.wait(BUSY_SECONDS if under_way else IDLE_SECONDS)


def _claim(app: Flask, free: int) -> Sequence[OutboxMessage]:
    if not free:
        return []
    with app.app_context():
        try:
            return outbox.claim(free)
        except Exception:
            log.exception("the outbox cannot be read; will try again")
            return []


def _deliver(app: Flask, row: OutboxMessage) -> None:
    with app.app_context():
        try:
            outbox.deliver(row)
        except Exception:
            log.exception("a delivery cannot be recorded; it will be repeated after its lease")
