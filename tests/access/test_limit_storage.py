"""Where calls are counted, and what becomes of that when Redis is away."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import time_machine
from limits import parse
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import REGISTRY

from app.access import limit_storage
from app.access.limit_storage import BoundedMemoryStorage, RedisOrMemoryStorage
from tests.own_redis import OwnRedis, own_redis
from tests.servers import free_port

FIVE = parse("5 per minute")
NOW = "2026-11-22T08:00:00Z"

# Longer than anybody waits for Redis, however slow this machine is.
BOUND_SECONDS = 2


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is asked again at once."""
    monkeypatch.setattr(limit_storage, "ASK_AGAIN_AFTER_SECONDS", 0)


def limiter(redis_url: str) -> MovingWindowRateLimiter:
    """What one worker process has."""
    return MovingWindowRateLimiter(RedisOrMemoryStorage(redis_url))


def passed(limiter: MovingWindowRateLimiter, calls: int, who: str = "192.0.2.7") -> int:
    return sum(limiter.hit(FIVE, "login", who) for _ in range(calls))


def fallbacks() -> float:
    return REGISTRY.get_sample_value("rate_limiter_fallbacks_total") or 0


# In memory


def test_so_many_pass_and_no_more() -> None:
    limiter = MovingWindowRateLimiter(BoundedMemoryStorage())

    assert passed(limiter, 20) == 5


def test_each_key_is_counted_for_itself() -> None:
    limiter = MovingWindowRateLimiter(BoundedMemoryStorage())
    passed(limiter, 5)

    assert passed(limiter, 5, who="192.0.2.8") == 5


def test_the_window_moves() -> None:
    limiter = MovingWindowRateLimiter(BoundedMemoryStorage())
    with time_machine.travel(NOW, tick=False) as traveller:
        passed(limiter, 2)
        traveller.shift(50)
        passed(limiter, 3)
        traveller.shift(9)
        just_before = passed(limiter, 5)
        traveller.shift(1)
        after_the_first_two = passed(limiter, 5)

    assert (just_before, after_the_first_two) == (0, 2)


def test_what_is_refused_does_not_count() -> None:
    limiter = MovingWindowRateLimiter(BoundedMemoryStorage())
    with time_machine.travel(NOW, tick=False) as traveller:
        passed(limiter, 5)
        traveller.shift(59)
        passed(limiter, 50)
        traveller.shift(1)

        assert passed(limiter, 5) == 5


def test_the_statistics_say_when_the_oldest_call_leaves() -> None:
    limiter = MovingWindowRateLimiter(BoundedMemoryStorage())
    with time_machine.travel(NOW, tick=False) as traveller:
        passed(limiter, 1)
        traveller.shift(20)
        passed(limiter, 4)

        reset_time, remaining = limiter.get_window_stats(FIVE, "login", "192.0.2.7")

        assert (reset_time - time.time(), remaining) == (40, 0)


def test_many_threads_pass_no_more_than_one() -> None:
    limiter = MovingWindowRateLimiter(BoundedMemoryStorage())
    together = threading.Barrier(16)

    def call(_: int) -> int:
        together.wait()
        return passed(limiter, 10)

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(call, range(16))) == 5


def test_memory_is_bounded_and_forgets_who_called_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit_storage, "MOST_KEYS", 100)
    storage = BoundedMemoryStorage()
    limiter = MovingWindowRateLimiter(storage)
    passed(limiter, 5, who="early")
    passed(limiter, 5, who="early but calling on")

    for number in range(99):
        passed(limiter, 1, who=f"crowd {number}")
        passed(limiter, 1, who="early but calling on")

    assert passed(limiter, 5, who="early but calling on") == 0
    assert passed(limiter, 5, who="early") == 5
    assert storage.reset() == 100


# In Redis


def test_workers_count_together(redis: OwnRedis) -> None:
    one, other = limiter(redis.url), limiter(redis.url)

    assert passed(one, 3) + passed(other, 20) + passed(one, 20) == 5


def test_it_takes_a_unix_socket(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        server.kill()
        socket = tmp_path / "socket"
        options = ["--unixsocket", str(socket)]
        server.start(*options)

        assert passed(limiter(f"unix://{socket}"), 20) == 5


def test_both_storages_say_the_same_of_each_call(redis: OwnRedis) -> None:
    storages = [BoundedMemoryStorage(), RedisOrMemoryStorage(redis.url)]

    with time_machine.travel(NOW, tick=False) as traveller:
        said = []
        for wait in (0, 0, 20, 0, 0, 0, 39, 1, 0, 61):
            traveller.shift(wait)
            said.append([storage.take("who", 4, 60) for storage in storages])

    assert [in_memory for in_memory, _ in said] == [in_redis for _, in_redis in said]
    assert [(taken.is_taken, taken.left) for taken, _ in said] == [
        *((True, 3), (True, 2), (True, 1), (True, 0), (False, 0), (False, 0), (False, 0)),
        *((True, 1), (True, 0), (True, 3)),
    ]
    assert said[4][0].frees_after_seconds == 40


def test_redis_that_is_killed_leaves_a_limit_in_memory(
    redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    limited = limiter(redis.url)
    passed(limited, 5)
    before = fallbacks()
    redis.kill()

    begun = time.monotonic()
    in_memory = passed(limited, 20)

    assert in_memory == 5
    assert time.monotonic() - begun < BOUND_SECONDS
    assert fallbacks() - before == 20
    assert [r.levelname for r in caplog.records if "Redis is away" in r.getMessage()] == ["ERROR"]


def test_redis_that_never_was_there_leaves_one_too() -> None:
    limited = limiter(f"redis://127.0.0.1:{free_port()}/0")

    assert passed(limited, 20) == 5
    assert limited.storage.check() is False


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70, "127.0.0.1:1"])
def test_a_server_that_cannot_be_reached_is_no_error(host: str) -> None:
    assert passed(limiter(f"redis://{host}"), 20) == 5


def test_redis_that_hangs_keeps_nobody_waiting_but_the_first(redis: OwnRedis) -> None:
    limited = limiter(redis.url)
    passed(limited, 1)
    redis.freeze()

    begun = time.monotonic()
    in_memory = passed(limited, 20)
    waited = time.monotonic() - begun

    redis.thaw()
    assert in_memory == 5
    assert waited < BOUND_SECONDS


def test_redis_that_comes_back_is_asked_again(
    redis: OwnRedis, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    one, other = limiter(redis.url), limiter(redis.url)
    passed(one, 1)
    redis.kill()
    passed(one, 5)

    redis.start()

    assert passed(one, 3) + passed(other, 20) == 5, "they count together again"
    assert len([r for r in caplog.records if "Redis is back" in r.getMessage()]) == 1


def test_in_an_outage_redis_is_asked_by_one_caller_at_a_time(redis: OwnRedis) -> None:
    limited = limiter(redis.url)
    redis.kill()
    passed(limited, 1)
    redis.start()

    passed(limited, 4)

    assert passed(limited, 20) == 0, "all were counted in memory, until it is time to ask"


def test_a_second_outage_is_told_again(
    redis: OwnRedis, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    limited = limiter(redis.url)
    for _ in range(2):
        redis.kill()
        passed(limited, 2)
        redis.start()
        passed(limited, 2)

    assert len([r for r in caplog.records if "Redis is away" in r.getMessage()]) == 2


def test_a_restarted_redis_is_no_outage(redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    limited = limiter(redis.url)
    passed(limited, 1)
    redis.kill()
    redis.start()
    before = fallbacks()

    passed(limited, 1)

    assert fallbacks() == before
    assert "Redis" not in caplog.text
