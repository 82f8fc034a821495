"""The line of callers that wait for a hash, and the order in which they get it."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from app.errors import Overloaded
from app.http.client import Client
from app.observability import metrics


@dataclass(eq=False)
class _Job:
    who: Client
    function: Callable[[], Any]
    outcome: "Future[Any]" = field(default_factory=Future)
    asked_at: float = field(default_factory=perf_counter)
    began_at: float | None = None
    # It is set when the job does not wait any more: it has begun, or it was refused.
    has_moved: threading.Event = field(default_factory=threading.Event)

    def work(self) -> Callable[[], None]:
        """Run the function, and return another one that gives the result to the caller."""
        if not self.who.is_connected():
            return partial(self.refuse, "left")
        self.began_at = perf_counter()
        try:
            return partial(self.outcome.set_result, self.function())
        except BaseException as error:
            return partial(self.outcome.set_exception, error)

    def refuse(self, because: str) -> None:
        metrics.HASHES_REFUSED.labels(because).inc()
        self.outcome.set_exception(Overloaded())
        self.has_moved.set()

    def show_wait(self) -> None:
        if self.began_at is not None:
            metrics.HASH_WAIT.observe(self.began_at - self.asked_at)


class _Line:
    """The waiting jobs. The networks take turns, so one with many jobs delays only its own."""

    def __init__(self) -> None:
        # The networks in the order of their turns. Each has at least one job.
        self._networks: dict[str, deque[_Job]] = {}

    def __iter__(self) -> Iterator[_Job]:
        return (job for jobs in self._networks.values() for job in jobs)

    def __len__(self) -> int:
        return sum(map(len, self._networks.values()))

    def join(self, job: _Job) -> None:
        self._networks.setdefault(job.who.network, deque()).append(job)

    def leave(self, job: _Job) -> bool:
        jobs = self._networks.get(job.who.network, deque())
        if job not in jobs:
            return False
        jobs.remove(job)
        if not jobs:
            del self._networks[job.who.network]
        return True

    def take_next(self) -> _Job | None:
        """Remove the first job of the network whose turn it is, and return it.

        The other jobs of this network wait until its next turn.
        """
        if not self._networks:
            return None
        network = next(iter(self._networks))
        jobs = self._networks.pop(network)
        job = jobs.popleft()
        if jobs:
            self._networks[network] = jobs
        return job

    def longest_queue_tail(self, newcomer: str) -> _Job | None:
        """Return the job that must give its place to a newcomer.

        It is the last job of the network with the most jobs, if that network
        has at least two jobs more than the newcomer's. Otherwise it is ``None``.
        """
        ours = self._networks.get(newcomer, deque())
        longest = max(self._networks.values(), key=len, default=ours)
        return longest[-1] if len(longest) >= len(ours) + 2 else None
