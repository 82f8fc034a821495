"""The deliverer that comes with the server: one a machine, however many workers there are."""

import fcntl
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from flask import Flask

from app.mail import outbox
from app.models import OutboxMessage

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.05
# A mail server that is slow with one recipient keeps one of these waiting, not the others.
THREADS = 4


def start(app: Flask) -> threading.Event:
    """Deliver in the background until the returned event is set, or wait to take over.

    Every worker process calls it; an exclusive lock on a file lets one of
    them deliver. When that one ends the system frees the lock, and the next
    goes on.
    """
    stop = threading.Event()
    threading.Thread(target=_run, args=(app, stop), name="outbox", daemon=True).start()
    return stop


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


def _run(app: Flask, stop: threading.Event) -> None:
    try:
        lock = _lock_file(app).open("a")
    except OSError:
        log.exception("this process delivers no mail; `flask outbox run` does")
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log.info("delivering mail from this process")
        run(app, stop)


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


def _lock_file(app: Flask) -> Path:
    """In a folder of this account alone, where no other can put it first or hold it."""
    database = str(app.config["SQLALCHEMY_DATABASE_URI"])
    name = hashlib.sha256(database.encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"user-system-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder / f"outbox-{name}.lock"
