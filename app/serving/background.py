"""Work beside the requests: in one process a machine, however many workers there are."""

import fcntl
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

from flask import Flask

from app.audit import sealer
from app.database import migration_state
from app.extensions import db
from app.mail import deliverer
from app.observability import attempts, metrics
from app.observability.attempts import note_failure

log = logging.getLogger(__name__)

Work = Callable[[Flask, threading.Event], object]

# Each job runs in one process of a machine, under the name of its lock.
JOBS: dict[str, Work] = {deliverer.NAME: deliverer.run, sealer.NAME: sealer.run}

# How often a process that waits to take over looks whether it can.
LOOK_SECONDS = 0.5
# The pause after a failure that ended the work.
RESTART_SECONDS = 1.0


class Stop(threading.Event):
    """Set it, and the work ends."""

    thread: threading.Thread

    def wait_for_end(self, seconds: float) -> None:
        """Give the work so long to put down what it holds."""
        self.thread.join(seconds)


def start_all(app: Flask) -> list[Stop]:
    """Start every job. Returns what stops them."""
    return [start_job(app, name) for name in JOBS]


def start_job(app: Flask, name: str) -> Stop:
    """Start one of the jobs once the migrations were run. Set what is returned to stop it."""
    return start(app, name, once_migrated(name, JOBS[name]))


def start(app: Flask, name: str, work: Work) -> Stop:
    """Do the work in the background until the returned event is set, or wait to take over.

    Every worker process calls it; an exclusive lock on a file lets one of
    them do it. When that one ends the system frees the lock, and the next
    goes on.
    """
    stop = Stop()
    stop.thread = threading.Thread(
        target=_run, args=(app, name, work, stop), name=name, daemon=True
    )
    stop.thread.start()
    return stop


def _run(app: Flask, name: str, work: Work, stop: threading.Event) -> None:
    """This thread ends when it is told to, and for no other reason: nobody would start another."""
    while not stop.is_set():
        try:
            with _lock_file(app, name).open("a") as lock:
                if _take_turn(lock, stop):
                    log.info("this process works beside the requests", extra={"work": name})
                    with metrics.BACKGROUND_WORK_RUNNING.labels(name).track_inprogress():
                        work(app, stop)
        except BaseException:
            note_failure(name)
            stop.wait(RESTART_SECONDS)


def _take_turn(lock: TextIOWrapper, stop: threading.Event) -> bool:
    """Wait for the lock. Returns False if the process is to stop before it comes."""
    while not stop.is_set():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stop.wait(LOOK_SECONDS)
        else:
            return True
    return False


def _lock_file(app: Flask, name: str) -> Path:
    """In a folder of this account alone, where no other can put it first or hold it."""
    digest = hashlib.sha256(_database(app).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"user-system-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder / f"{name}-{digest}.lock"


def _database(app: Flask) -> str:
    """What names the database on this machine.

    A relative path of SQLite's means another file in each checkout, and two
    paths may lead to one file.
    """
    with app.app_context():
        url = db.engine.url
    if url.get_backend_name() != "sqlite":
        return str(url)
    path = (url.database or "").removeprefix("file:").partition("?")[0]
    return f"sqlite:{Path(path).resolve()}"


# How often background work that waits for the migrations looks whether they were run.
MIGRATION_LOOK_SECONDS = 1.0


def once_migrated(name: str, work: Work) -> Work:
    """The same work, which waits until the migrations were run. It says so once."""

    def waiting(app: Flask, stop: threading.Event) -> None:
        is_told = False
        while not stop.is_set():
            is_current = attempts.attempt(app, name, _is_current)
            if is_current:
                work(app, stop)
                return
            # None: it could not be asked, which is logged already.
            if is_current is False and not is_told:
                log.error(migration_state.NOT_MIGRATED)
                is_told = True
            stop.wait(MIGRATION_LOOK_SECONDS)

    return waiting


def _is_current() -> bool:
    with db.engine.connect() as connection:
        return migration_state.read(connection).is_current
