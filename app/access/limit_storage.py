"""Counts calls in Redis, and in this process's memory while Redis is away.

Both are storages for the strategies of the library ``limits``. Its own storage
in memory would keep every key for ever.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

from limits.storage import MemoryStorage, RedisStorage

from app import clock
from app.observability import metrics

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# One request waits this long for Redis, once at the start of an outage.
TIMEOUT_SECONDS = 0.25
# In an outage, one request in this time asks Redis again; all others are counted in memory.
ASK_AGAIN_AFTER_SECONDS = 2
# The most counters in memory. When there are more, the one that was used longest ago is dropped.
MOST_KEYS = 20_000


# It does what the library's own script does, which says only whether the call was counted. The list
# has the times of the calls, the newest first; the search finds the oldest one in the window.
TAKE = b"""
local now, limit, expiry = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function is_in_window(index)
    local at = redis.call('lindex', KEYS[1], index)
    return at and tonumber(at) > now - expiry
end
local is_taken = 0
if not is_in_window(limit - 1) then
    redis.call('lpush', KEYS[1], ARGV[1])
    redis.call('ltrim', KEYS[1], 0, limit - 1)
    redis.call('expire', KEYS[1], expiry)
    is_taken = 1
end
local low, high = 0, limit
while low < high do
    local middle = math.floor((low + high) / 2)
    if is_in_window(middle) then low = middle + 1 else high = middle end
end
return {is_taken, low, redis.call('lindex', KEYS[1], low - 1)}
"""


class Taken(NamedTuple):
    """Whether a call was counted, how many more may come, and when there is room for one more."""

    is_taken: bool
    left: int
    frees_after_seconds: float


class CountingStorage(Protocol):
    """Both storages of this file."""

    def take(self, key: str, limit: int, expiry: int) -> Taken: ...


class BoundedMemoryStorage(MemoryStorage):
    """Moving windows in this process's memory."""

    # A name of its own, so that the library's registry keeps the library's own storage.
    STORAGE_SCHEME = ["bounded-memory"]  # noqa: RUF012 — as the library types it

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str, limit: int, expiry: int) -> Taken:
        """Count a call, unless there are ``limit`` in the window already."""
        now = clock.now().timestamp()
        with self._lock:
            window = self._windows.setdefault(key, deque())
            self._windows.move_to_end(key)
            while window and window[0] <= now - expiry:
                window.popleft()
            is_taken = len(window) < limit
            if is_taken:
                window.append(now)
            while len(self._windows) > MOST_KEYS:
                self._windows.popitem(last=False)
            oldest = window[0] if window else now
            return Taken(is_taken, limit - len(window), oldest + expiry - now)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        return self.take(key, limit, expiry).is_taken

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest call in the window was, and how many there were."""
        now = clock.now().timestamp()
        with self._lock:
            within = [at for at in self._windows.get(key, ()) if at > now - expiry]
        return (within[0], len(within)) if within else (now, 0)

    def reset(self) -> int:
        with self._lock:
            forgotten = len(self._windows)
            self._windows.clear()
        return forgotten


class RedisOrMemoryStorage(RedisStorage):
    """Moving windows in Redis, which all workers and hosts share, or in memory while it is away."""

    STORAGE_SCHEME = ["redis-or-memory"]  # noqa: RUF012 — as the library types it

    def __init__(self, redis_url: str) -> None:
        # The library loads the client only when it is needed, because it takes up 6 MiB.
        redis: Any = self.dependencies["redis"].module
        super().__init__(
            redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # By default the client tries again for seconds. Here it tries once more, at once,
            # because the connection may have been closed while it lay in the pool.
            retry=redis.retry.Retry(
                redis.backoff.NoBackoff(), 1, supported_errors=(redis.ConnectionError,)
            ),
        )
        self._lua_take = self.get_connection().register_script(TAKE)
        self._memory = BoundedMemoryStorage()
        self._lock = threading.Lock()
        self._is_away = False
        self._ask_again_at = 0.0

    def take(self, key: str, limit: int, expiry: int) -> Taken:
        """Count a call, unless there are ``limit`` in the window already."""
        return self._either(self._take_in_redis, self._memory.take, key, limit, expiry)

    def _take_in_redis(self, key: str, limit: int, expiry: int) -> Taken:
        now = clock.now().timestamp()
        is_taken, calls, oldest = self._lua_take([self.prefixed_key(key)], [now, limit, expiry])
        return Taken(bool(is_taken), limit - calls, float(oldest or now) + expiry - now)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        return self.take(key, limit, expiry).is_taken

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        return self._either(
            super().get_moving_window, self._memory.get_moving_window, key, limit, expiry
        )

    def _either(
        self, redis: Callable[P, R], memory: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        if self._is_worth_asking():
            try:
                answer = redis(*args, **kwargs)
            # An OSError or ValueError is a host name that cannot be looked up, or is not valid.
            except (self.dependency.RedisError, OSError, ValueError) as error:
                self._note_away(error)
            else:
                self._note_back()
                return answer
        metrics.LIMITER_FALLBACKS.inc()
        return memory(*args, **kwargs)

    def _is_worth_asking(self) -> bool:
        if not self._is_away:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._ask_again_at:
                return False
            self._ask_again_at = now + ASK_AGAIN_AFTER_SECONDS
            return True

    def _note_away(self, error: Exception) -> None:
        with self._lock:
            is_news, self._is_away = not self._is_away, True
            self._ask_again_at = time.monotonic() + ASK_AGAIN_AFTER_SECONDS
        if is_news:
            log.error(
                "Redis is away: each worker process counts rate limits by itself", exc_info=error
            )

    def _note_back(self) -> None:
        if not self._is_away:
            return
        with self._lock:
            is_news, self._is_away = self._is_away, False
        if is_news:
            log.warning("Redis is back: rate limits are shared again")
