"""Guessing at several gunicorn workers at once, on one PostgreSQL."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from flask import Flask

from tests.conftest import ENVIRONMENT
from tests.factories import PASSWORD
from tests.own_redis import own_redis
from tests.servers import Server, serving

GUESSES = 100
ROUNDS = 6
SPOOFABLE = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP")

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.xdist_group("cluster"),
    # It leaves an empty database behind.
    pytest.mark.usefixtures("app"),
]


@pytest.fixture(scope="module")
def server(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Four workers with the throttle, and no limits by network before it."""
    log = tmp_path_factory.mktemp("throttle") / "gunicorn.log"
    many = dict.fromkeys(
        ("RATELIMIT_LOGIN", "RATELIMIT_LOGIN_FAILURES", "RATELIMIT_REGISTER"), "100000 per hour"
    )
    variables = ENVIRONMENT | many | {"RATELIMIT_ENABLED": "true"}
    with serving(
        log, **variables, DATABASE_URL=database_url, WEB_CONCURRENCY="4", WEB_THREADS="8"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(GUESSES) as pool:
        yield pool


def register(server: Server) -> str:
    name = f"u{uuid4().hex[:20]}"
    account = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
    requests.post(f"{server.api}/auth/register", json=account, timeout=30).raise_for_status()
    return name


def log_in(server: Server, name: str, password: str, **headers: str) -> int:
    return requests.post(
        f"{server.api}/auth/login",
        json={"username": name, "password": password},
        headers=headers,
        timeout=60,
    ).status_code


def together(threads: ThreadPoolExecutor, call: Callable[[int], int]) -> Counter[int]:
    """How often each status came of calls at the same moment."""
    barrier = threading.Barrier(GUESSES)

    def at_the_barrier(number: int) -> int:
        barrier.wait()
        return call(number)

    return Counter(threads.map(at_the_barrier, range(GUESSES)))


@pytest.mark.timeout(600)
def test_of_a_hundred_guesses_at_once_five_are_looked_at_in_every_round(
    server: Server, threads: ThreadPoolExecutor
) -> None:
    rounds = []
    for number in range(ROUNDS):
        # Somebody, and nobody.
        name = register(server) if number % 2 else f"nobody{number}"
        rounds.append(together(threads, lambda n, who=name: log_in(server, who, f"guess {n}")))

    assert rounds == [Counter({429: GUESSES - 5, 401: 5})] * ROUNDS


def test_the_right_one_among_them_is_looked_at_no_sooner(
    server: Server, threads: ThreadPoolExecutor
) -> None:
    name = register(server)
    for _ in range(5):
        log_in(server, name, "wrong")

    answers = together(threads, lambda _: log_in(server, name, PASSWORD))

    assert answers == Counter({429: GUESSES})


def test_fifty_wrong_logins_with_rotating_spoofed_headers_end_in_429(server: Server) -> None:
    name = register(server)

    answers = [
        log_in(server, name, "wrong", **dict.fromkeys(SPOOFABLE, f"203.0.113.{n}"))
        for n in range(50)
    ]

    assert answers == [401] * 5 + [429] * 45


def test_with_redis_all_workers_count_one_network_together_and_go_on_without_it(
    session_app: Flask, database_url: str, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    with (
        own_redis(tmp_path) as redis,
        serving(
            tmp_path / "log",
            **ENVIRONMENT | {"RATELIMIT_ENABLED": "true", "LOG_FORMAT": "json"},
            RATELIMIT_TOKEN="10 per hour",
            REDIS_URL=redis.url,
            DATABASE_URL=database_url,
            WEB_CONCURRENCY="4",
            WEB_THREADS="8",
        ) as server,
    ):

        def refresh(_: int) -> int:
            body = {"refresh_token": "x"}
            return requests.post(f"{server.api}/auth/refresh", json=body, timeout=60).status_code

        shared = together(threads, refresh)
        ready = requests.get(f"{server.url}/readyz", timeout=30)
        redis.kill()
        alone = together(threads, refresh)
        unready = requests.get(f"{server.url}/readyz", timeout=30)

    assert shared == Counter({429: 90, 401: 10})
    assert set(alone) <= {401, 429}
    assert alone[401] <= 4 * 10
    assert (ready.status_code, unready.status_code) == (200, 503)
    told = (tmp_path / "log").read_text().count("Redis is away")
    assert 1 <= told <= 4, "once for each worker at most"
