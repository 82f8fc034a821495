"""Where passwords are hashed: a few threads of low priority, and a queue that ends.

A hash holds a core for a quarter of a second. Done in the request's own
thread, a flood of logins would take every core from every other request.
Here it waits its turn behind them: as many hashes at once as there are cores
for them, the others as their networks take turns, and beyond the queue's end
a refusal at once. For callers who have hung up nothing is hashed.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar, cast
from weakref import ref

from flask import Flask, current_app

from app.errors import Overloaded
from app.http import caller
from app.http.caller import Caller
from app.observability import metrics
from app.security.passwords.waiting_line import _Job, _Line
from config import Settings

P = ParamSpec("P")
R = TypeVar("R")

# On Linux each thread has a priority of its own. So much below the process's own leaves the others
# nine tenths of a core that both want.
NICENESS = 10
LOWEST_PRIORITY = 19
# Whoever waits longer has given up, or had better come again.
LONGEST_WAIT_SECONDS = 30.0


class HashingPool:
    """``concurrency`` threads, and room for ``queue_limit`` callers who wait for one."""

    def __init__(self, concurrency: int, queue_limit: int) -> None:
        self._concurrency = concurrency
        self._room = concurrency + queue_limit
        self._line = _Line()
        self._running = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(
            concurrency, thread_name_prefix="hashing", initializer=_lower_priority
        )

    def run(self, who: Caller, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, from one of the threads.

        Raises ``Overloaded``, with nothing done, where the queue is full, the
        wait too long, or ``who`` not there any more. The caller should hold
        neither a database connection nor a lock meanwhile.
        """
        job = _Job(who, partial(function, *args, **kwargs))
        self._line_up(job)
        self._threads.submit(self._do_next)
        self._show()
        wait([job.outcome], LONGEST_WAIT_SECONDS)
        self._take_out(job, because="too_late")
        try:
            return cast(R, job.outcome.result())
        finally:
            self._show()
            job.show_wait()

    def _line_up(self, job: "_Job") -> None:
        """Join the line. Where it is full, only in the place of somebody else."""
        if self._join(job):
            return
        for other in self._waiting():
            if not other.who.seems_there():
                self._take_out(other, because="left")
        if self._join(job):
            return
        with self._lock:
            last = self._line.last_of_the_greediest(job.who.network)
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
        """Refuse who still waits; ``False`` for whom it is too late to."""
        with self._lock:
            was_waiting = self._line.leave(job)
        if was_waiting:
            job.refuse(because)
        return was_waiting

    def _do_next(self) -> None:
        """Hash for whose turn it is: called once for each caller, but some are gone by then."""
        with self._lock:
            job = self._line.take_next()
            if job is None:
                return
            self._running += 1
        tell = job.work()
        # Before the caller is told, who may come back at once.
        with self._lock:
            self._running -= 1
        tell()

    def _waiting(self) -> list["_Job"]:
        with self._lock:
            return list(self._line)

    def _show(self) -> None:
        # Done in the callers' threads: those of low priority are to hold no lock for long.
        with self._lock:
            busy = len(self._line) + self._running
        metrics.HASHES_RUNNING.set(min(busy, self._concurrency))
        metrics.HASHES_WAITING.set(max(busy - self._concurrency, 0))


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application a pool, and each process that is forked off it another one."""

    # Registered for good, so it must not keep the application alive for good.
    application = ref(app)

    def renew() -> None:
        alive = application()
        if alive is not None:
            alive.extensions["hashing_pool"] = HashingPool(
                settings.hash_concurrency, settings.hash_queue_limit
            )

    renew()
    os.register_at_fork(after_in_child=renew)


def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same in the pool of the current application, for who asks at present."""
    pool: HashingPool = current_app.extensions["hashing_pool"]
    return pool.run(caller.current(), function, *args, **kwargs)


def _lower_priority() -> None:
    # Elsewhere than on Linux this would mean the whole process; there it stays as it is.
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            lower = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
            os.setpriority(os.PRIO_PROCESS, thread, min(lower, LOWEST_PRIORITY))
