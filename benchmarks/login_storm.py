"""Compares logins with bare bcrypt, and measures what a flood of logins does to other requests.

    .venv/bin/python -m benchmarks.login_storm

It runs on PostgreSQL in interleaved rounds, with bcrypt at its production
cost. It measures 16 connections that log in; ``GET /users/me`` at 50 requests
a second while nothing else runs; the same while 32 connections log in without
a pause; and bare bcrypt on the same cores. Every account soon has as many
sessions as it may have, so that each login ends another session. Each
connection logs in to its own account, because logins to one account are slowed
down. The benchmark waits for every login that has begun. One core may then be
done before the other one; in a longer run this matters less.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path

from benchmarks import servers
from tests.conftest import new_postgres_database
from tests.factories import API
from tests.servers import Server

JSON = "application/json"
PACE = 50
CALM_CLIENTS = 16
FLOOD = 32
# These are the defaults, except that the readers' tokens last to the end.
AS_BY_DEFAULT = {"MAX_SESSIONS_PER_USER": "20", "ACCESS_TOKEN_EXPIRE_MINUTES": "1440"}

Tokens = Iterator[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of the parts without logins")
    parser.add_argument("--login-seconds", type=int, default=60, help="of the parts with them")
    given = parser.parse_args()

    calm: list[float] = []
    stormy: list[float] = []
    logins: list[float] = []
    flooding: list[float] = []
    alone: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(new_postgres_database())
        tokens = _tokens_of_readers(folder, url)
        server = stack.enter_context(servers.product(folder, url, **AS_BY_DEFAULT))
        servers.register(server, *(f"user{number}" for number in range(FLOOD)))
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds} …", file=sys.stderr)
            alone.append(servers.bare_bcrypt(given.seconds))
            logins.append(_logins(server, CALM_CLIENTS, given.login_seconds))
            calm += _paced(server, tokens, given.seconds)
            stormy += _in_the_flood(server, tokens, given.login_seconds, flooding)
        memory = servers.memory_mebibytes(server)

    print(
        f"{given.rounds} rounds of {given.seconds} s, {given.login_seconds} s of logins; medians\n"
    )
    for name, times in (("calm", calm), ("storm", stormy)):
        answered = sorted(t for t in times if t >= 0)
        print(
            f"GET /users/me, {name:5}  median {statistics.median(answered):6.1f} ms"
            f"  p99 {_p99(answered):6.1f} ms  worst {answered[-1]:6.1f} ms"
            f"  refused {sum(t < 0 for t in times)} of {len(times)}"
        )
    print(f"p99 in the storm is {_p99(stormy) / _p99(calm):.2f} × calm\n")
    print(f"bare bcrypt: {statistics.median(alone):.2f}/s")
    for name, measured in (
        (f"logins, {CALM_CLIENTS} connections", logins),
        (f"logins in the storm, {FLOOD} connections", flooding),
    ):
        ratios = [ours / bare for ours, bare in zip(measured, alone, strict=True)]
        print(
            f"{name}: {statistics.median(measured):.2f}/s,"
            f" {statistics.median(ratios):.2f} of bare bcrypt"
        )
    print(f"memory afterwards: {memory:.0f} MiB (PSS)")


def _tokens_of_readers(folder: Path, database_url: str) -> Tokens:
    """The tokens of many sessions, in turn. A server with a cheap hash makes them."""
    many = {"MAX_SESSIONS_PER_USER": "10000", "BCRYPT_ROUNDS": "4"}
    with servers.product(folder, database_url, **AS_BY_DEFAULT | many) as server:
        return cycle(servers.access_tokens(server))


class Client(threading.local):
    """A connection for each thread. It does little else, because it shares the server's cores."""

    def __init__(self, server: Server) -> None:
        self._connection = HTTPConnection(server.url.removeprefix("http://"), timeout=60)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> int:
        """The answer's status."""
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, API + path, sent, headers)
        with self._connection.getresponse() as answer:
            answer.read()
            return answer.status


def _logins(server: Server, clients: int, seconds: float) -> float:
    """Logins a second; each client has its own account."""
    client = Client(server)

    def log_in(number: int) -> None:
        credentials = {"username": f"user{number}", "password": servers.PASSWORD}
        status = client.ask("POST", "/auth/login", credentials, **{"Content-Type": JSON})
        assert status == 200, status

    return servers.until_done(log_in, clients=clients, seconds=seconds)


def _in_the_flood(
    server: Server, tokens: Tokens, seconds: int, flooding: list[float]
) -> list[float]:
    flood = threading.Thread(target=lambda: flooding.append(_logins(server, FLOOD, seconds + 2)))
    flood.start()
    time.sleep(1)
    times = _paced(server, tokens, seconds)
    flood.join()
    return times


def _paced(server: Server, tokens: Tokens, seconds: int) -> list[float]:
    """Milliseconds of each request, or -1 if it is refused. They begin at fixed intervals."""
    client = Client(server)

    def ask(due: float) -> float:
        status = client.ask("GET", "/users/me", Authorization=f"Bearer {next(tokens)}")
        return (time.monotonic() - due) * 1000 if status == 200 else -1

    with ThreadPoolExecutor(PACE) as pool:
        begin = time.monotonic() + 0.1
        under_way = []
        for beat in range(PACE * seconds):
            due = begin + beat / PACE
            time.sleep(max(0, due - time.monotonic()))
            under_way.append(pool.submit(ask, due))
        return [one.result() for one in under_way]


def _p99(times: list[float]) -> float:
    return statistics.quantiles([t for t in times if t >= 0], n=100)[98]


if __name__ == "__main__":
    main()
