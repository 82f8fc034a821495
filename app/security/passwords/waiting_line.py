"""Who waits for a hash, and whose turn it is."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from app.errors import Overloaded
from app.http.caller import Caller
from app.observability import metrics


@dataclass(eq=False)
class _Job:
    who: Caller
    function: Callable[[], Any]
    outcome: "Future[Any]" = field(default_factory=Future)
    asked_at: float = field(default_factory=perf_counter)
    began_at: float | None = None

    def work(self) -> Callable[[], None]:
        """Do it, and give back what tells the caller."""
        if not self.who.is_there():
            return partial(self.refuse, "left")
        self.began_at = perf_counter()
        try:
            return partial(self.outcome.set_result, self.function())
        except BaseException as error:
            return partial(self.outcome.set_exception, error)

    def refuse(self, because: str) -> None:
        metrics.HASHES_REFUSED.labels(because).inc()
        self.outcome.set_exception(Overloaded())

    def show_wait(self) -> None:
        if self.began_at is not None:
            metrics.HASH_WAIT.observe(self.began_at - self.asked_at)


class _Line:
    """Who waits. The networks take turns, so that one with many callers delays its own alone."""

    def __init__(self) -> None:
        # In the order of their turns; none is empty.
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
        """The first of the network whose turn it is; its others wait until its next turn."""
        if not self._networks:
            return None
        network = next(iter(self._networks))
        jobs = self._networks.pop(network)
        job = jobs.popleft()
        if jobs:
            self._networks[network] = jobs
        return job

    def last_of_the_greediest(self, newcomer: str) -> _Job | None:
        """Who makes way for a newcomer's network, if any has two callers more than it."""
        ours = self._networks.get(newcomer, deque())
        greediest = max(self._networks.values(), key=len, default=ours)
        return greediest[-1] if len(greediest) >= len(ours) + 2 else None
