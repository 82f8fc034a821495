"""Background work: one process of a machine does it, however many workers there are."""

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

# Job name → its work. The name is also that of the lock, so one process of a machine runs the job.
JOBS: dict[str, Work] = {deliverer.NAME: deliverer.run, sealer.NAME: sealer.run}

# How often a waiting process tries to take over.
LOOK_SECONDS = 0.5
# The pause after a failure that ended the work.
RESTART_SECONDS = 1.0


class Stop(threading.Event):
    """An event that ends the work when it is set."""

    thread: threading.Thread

    def wait_for_end(self, seconds: float) -> None:
        """Wait at most this long for the work to end and give back what it holds."""
        self.thread.join(seconds)


def start_all(app: Flask) -> list[Stop]:
    """Start every job. Returns the events that stop them."""
    return [start_job(app, name) for name in JOBS]


def start_job(app: Flask, name: str) -> Stop:
    """Start one of the jobs, as soon as the migrations have run. Set the result to stop it."""
    return start(app, name, once_migrated(name, JOBS[name]))


def start(app: Flask, name: str, work: Work) -> Stop:
    """Do the work in the background until the returned event is set, or wait to take over.

    Every worker process calls it. An exclusive lock on a file lets one of them
    do the work. When that process ends, the system frees the lock, and another
    process takes over.
    """
    stop = Stop()
    stop.thread = threading.Thread(
        target=_run, args=(app, name, work, stop), name=name, daemon=True
    )
    stop.thread.start()
    return stop


def _run(app: Flask, name: str, work: Work, stop: threading.Event) -> None:
    """Work until ``stop`` is set. No error ends this thread: nothing would start another."""
    while not stop.is_set():
        try:
            with _lock_file(app, name).open("a") as lock:
                if _take_turn(lock, stop):
                    log.info("this process does the background work", extra={"work": name})
                    with metrics.BACKGROUND_WORK_RUNNING.labels(name).track_inprogress():
                        work(app, stop)
        except BaseException:
            note_failure(name)
            stop.wait(RESTART_SECONDS)


def _take_turn(lock: TextIOWrapper, stop: threading.Event) -> bool:
    """Wait for the lock. Returns False if the process must stop before it gets the lock."""
    while not stop.is_set():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stop.wait(LOOK_SECONDS)
        else:
            return True
    return False


def _lock_file(app: Flask, name: str) -> Path:
    """The lock file, in a folder of this account. No other account can create or hold the lock."""
    digest = hashlib.sha256(_database(app).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"user-system-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another account")
    return folder / f"{name}-{digest}.lock"


def _database(app: Flask) -> str:
    """A name of the database that is unique on this machine.

    For SQLite it is the resolved path: a relative path means another file in
    each checkout, and two paths may lead to one file.
    """
    with app.app_context():
        url = db.engine.url
    if url.get_backend_name() != "sqlite":
        return str(url)
    path = (url.database or "").removeprefix("file:").partition("?")[0]
    return f"sqlite:{Path(path).resolve()}"


# How often background work that waits for the migrations checks whether they have run.
MIGRATION_LOOK_SECONDS = 1.0


def once_migrated(name: str, work: Work) -> Work:
    """The same work, but it waits until the migrations have run. It logs once that it waits."""

    def waiting(app: Flask, stop: threading.Event) -> None:
        is_told = False
        while not stop.is_set():
            is_current = attempts.attempt(app, name, _is_current)
            if is_current:
                work(app, stop)
                return
            # None means that the query failed, which is logged already.
            if is_current is False and not is_told:
                log.error(migration_state.NOT_MIGRATED)
                is_told = True
            stop.wait(MIGRATION_LOOK_SECONDS)

    return waiting


def _is_current() -> bool:
    with db.engine.connect() as connection:
        return migration_state.read(connection).is_current
