"""The hashing pool: a few threads of low priority hash the passwords, and a limited queue waits.

A hash uses a core for a quarter of a second. If each request hashed in its own
thread, many logins at once would take all cores from all other requests. So a
thread of the pool needs one of the machine's slots (``slots.py``) to compute a
hash. The other callers wait, and their networks take turns. If the queue is
full, a caller is refused at once. If a caller has closed the connection, its
hash is not computed.
"""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar, cast
from weakref import ref

from flask import Flask, current_app

from app.errors import Overloaded
from app.http import client
from app.http.client import Client
from app.observability import metrics
from app.security.passwords.slots import SharedFile, Slots
from app.security.passwords.waiting_line import _Job, _Line
from config import Settings

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

# On Linux each thread has a priority of its own. The hashing threads are this much "nicer" than the
# rest of the process. Where both want the same core, the rest gets nine tenths of it.
NICENESS = 10
LOWEST_PRIORITY = 19
# A caller that waits longer is refused. It has probably given up, or should try again later.
LONGEST_WAIT_SECONDS = 30.0


class HashingPool:
    """A pool of ``concurrency`` threads, with room for ``queue_limit`` callers that wait.

    There are as many slots as threads. The pools of other processes that have
    the same file share the slots.
    """

    def __init__(
        self, concurrency: int, queue_limit: int, shared: SharedFile | None = None
    ) -> None:
        self._slots = Slots(shared or SharedFile(), concurrency)
        self._room = concurrency + queue_limit
        self._line = _Line()
        self._running = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(
            concurrency, thread_name_prefix="hashing", initializer=_lower_priority
        )

    def run(self, who: Client, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function in one of the threads, and return its result.

        Raises ``Overloaded`` without running it if the queue is full, the wait
        is too long, or ``who`` has closed the connection. The caller should
        hold neither a database connection nor a lock meanwhile.
        """
        job = _Job(who, partial(function, *args, **kwargs))
        self._line_up(job)
        self._threads.submit(self._do_next).add_done_callback(_log_failure)
        self._show()
        if job.has_moved.wait(LONGEST_WAIT_SECONDS):
            self._show()
        self._take_out(job, because="too_late")
        try:
            return cast(R, job.outcome.result())
        finally:
            self._show()
            job.show_wait()

    def _line_up(self, job: "_Job") -> None:
        """Join the line. If it is full, take the place of another caller, or raise an error.

        Callers that have closed the connection make room first. After them, a
        caller of the network with the most callers does.
        """
        if self._join(job):
            return
        for other in self._waiting():
            if not other.who.seems_connected():
                self._take_out(other, because="left")
        if self._join(job):
            return
        with self._lock:
            last = self._line.longest_queue_tail(job.who.network)
        if last is None or not self._take_out(last, because="displaced") or not self._join(job):
            metrics.HASHES_REFUSED.labels("full").inc()
            raise Overloaded

    def _join(self, job: "_Job") -> bool:
        with self._lock:
            has_room = len(self._line) + self._running < self._room
            if has_room:
                self._line.join(job)
            return has_room

    def _take_out(self, job: "_Job", *, because: str) -> bool:
        """Cancel a waiting job. Returns False if it has started or was cancelled before."""
        with self._lock:
            was_waiting = self._line.leave(job)
        if was_waiting:
            job.refuse(because)
        return was_waiting

    def _do_next(self) -> None:
        """Wait for a slot, and do the next job, if one waits.

        This is called once for each job, but some were cancelled meanwhile.
        The job is chosen when there is a slot, so it is the one whose turn it is then.
        """
        with self._slots.one():
            with self._lock:
                job = self._line.take_next()
                if job is None:
                    return
                self._running += 1
            job.has_moved.set()
            tell = job.work()
        # This comes before the caller gets its result, because the caller may come back at once.
        with self._lock:
            self._running -= 1
        tell()

    def _waiting(self) -> list["_Job"]:
        with self._lock:
            return list(self._line)

    def _show(self) -> None:
        # The callers' threads do this. The threads of low priority must not hold a lock for long.
        with self._lock:
            running, waiting = self._running, len(self._line)
        metrics.HASHES_RUNNING.set(running)
        metrics.HASHES_WAITING.set(waiting)


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application a pool, and each process that is forked from it another one.

    All of them share the slots. A reload makes a new application with new
    slots; the old workers use the old ones until they have ended.
    """
    app.extensions["hashing_slots"] = SharedFile()

    # ``renew`` stays registered until the process ends. A weak reference in it lets the
    # application be freed before that.
    application = ref(app)

    def renew() -> None:
        alive = application()
        if alive is not None:
            alive.extensions["hashing_pool"] = HashingPool(
                settings.hash_concurrency,
                settings.hash_queue_limit,
                alive.extensions["hashing_slots"],
            )

    renew()
    os.register_at_fork(after_in_child=renew)


def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run the function in the current application's pool, for the caller of this request."""
    pool: HashingPool = current_app.extensions["hashing_pool"]
    return pool.run(client.current(), function, *args, **kwargs)


def _log_failure(ended: "Future[None]") -> None:
    """Log an error outside the job itself, such as a refused file lock."""
    if error := ended.exception():
        log.error("a thread of the hashing pool failed", exc_info=error)


def _lower_priority() -> None:
    # Only on Linux does a thread have its own priority. Elsewhere this would change the whole
    # process, so nothing is done there.
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            lower = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
            os.setpriority(os.PRIO_PROCESS, thread, min(lower, LOWEST_PRIORITY))
