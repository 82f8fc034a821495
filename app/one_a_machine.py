"""Work beside the requests: in one process a machine, however many workers there are."""

import fcntl
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from flask import Flask

log = logging.getLogger(__name__)

Work = Callable[[Flask, threading.Event], None]


def start(app: Flask, name: str, work: Work) -> threading.Event:
    """Do the work in the background until the returned event is set, or wait to take over.

    Every worker process calls it; an exclusive lock on a file lets one of
    them do it. When that one ends the system frees the lock, and the next
    goes on.
    """
    stop = threading.Event()
    threading.Thread(target=_run, args=(app, name, work, stop), name=name, daemon=True).start()
    return stop


def _run(app: Flask, name: str, work: Work, stop: threading.Event) -> None:
    try:
        lock = _lock_file(app, name).open("a")
    except OSError:
        log.exception("this process cannot work beside the requests", extra={"work": name})
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log.info("this process works beside the requests", extra={"work": name})
        work(app, stop)


def _lock_file(app: Flask, name: str) -> Path:
    """In a folder of this account alone, where no other can put it first or hold it."""
    database = str(app.config["SQLALCHEMY_DATABASE_URI"])
    digest = hashlib.sha256(database.encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"user-system-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder / f"{name}-{digest}.lock"
