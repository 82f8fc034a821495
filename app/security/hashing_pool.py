"""Where passwords are hashed: a few threads of low priority, and a queue that ends.

A hash holds a core for a quarter of a second. Done in the request's own
thread, a flood of logins would take every core from every other request.
Here it waits its turn behind them: as many hashes at once as there are cores
for them, the others in the order in which they came, and beyond the queue's
end a refusal at once.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import ref

from flask import Flask, current_app

from app.errors import Overloaded
from config import Settings

P = ParamSpec("P")
R = TypeVar("R")

# On Linux each thread has a priority of its own; 10 leaves the others nine tenths of a core
# that both want.
NICENESS = 10


class HashingPool:
    """``concurrency`` threads, and room for ``queue_limit`` callers who wait for one."""

    def __init__(self, concurrency: int, queue_limit: int) -> None:
        self._places = threading.BoundedSemaphore(concurrency + queue_limit)
        self._threads = ThreadPoolExecutor(
            concurrency, thread_name_prefix="hashing", initializer=_lower_priority
        )

    def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, from one of the threads.

        Raises ``Overloaded`` at once where the queue is full. The caller
        should hold neither a database connection nor a lock meanwhile.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        try:
            return self._threads.submit(partial(function, *args, **kwargs)).result()
        finally:
            self._places.release()


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
    """The same in the pool of the current application."""
    pool: HashingPool = current_app.extensions["hashing_pool"]
    return pool.run(function, *args, **kwargs)


def _lower_priority() -> None:
    # Elsewhere than on Linux this would mean the whole process; there it stays as it is.
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
