"""Requests per second of the product's calls beside a bare Flask route.

    .venv/bin/python -m benchmarks.requests_per_second

Starts one server after the other, each with the same gunicorn, and loads them
with wrk (Debian: ``apt-get install wrk``) in interleaved rounds, so that a
machine whose speed drifts is unfair to neither. Prints medians, ratios, and
the processor time that the server spent on a request. The product runs on a
PostgreSQL database of its own (TEST_POSTGRES_URL), made and dropped here.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.conftest import SECRET_KEY, new_postgres_database
from tests.serving import BIN, ROOT, Server, environment_for, flask, free_port, serving


@dataclass
class Contender:
    """One call of one server, and what was measured of it."""

    name: str
    server: Server
    arguments: list[str]
    # Called before each round; wrk then gets one thread a connection, each a client of its own.
    new_clients: Callable[[int], None] | None = None
    per_second: list[float] = field(default_factory=list)
    cpu_microseconds: list[float] = field(default_factory=list)

    def run(self, seconds: int, connections: int) -> None:
        """One round of load."""
        threads = 2
        if self.new_clients:
            self.new_clients(connections)
            threads = connections
        before = _cpu_seconds(self.server.process.pid)
        done = subprocess.run(
            ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", *self.arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        spent = _cpu_seconds(self.server.process.pid) - before
        requests_done = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
        assert failed is None, f"{self.name}: {failed and failed[0]}\n{done}"
        self.per_second.append(requests_done / seconds)
        self.cpu_microseconds.append(spent / requests_done * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each round")
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()

    with ExitStack() as stack:
        contenders = _start(stack)
        for contender in contenders:
            contender.run(2, given.connections)
            contender.per_second.clear()
            contender.cpu_microseconds.clear()
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds} …", file=sys.stderr)
            for contender in contenders:
                contender.run(given.seconds, given.connections)

    print(f"{given.rounds} rounds of {given.seconds} s, {given.connections} connections; medians")
    floor = contenders[0]
    for contender in contenders:
        ratios = [
            mine / bare for mine, bare in zip(contender.per_second, floor.per_second, strict=True)
        ]
        print(
            f"{contender.name:28} {statistics.median(contender.per_second):8.0f} requests/s"
            f"  {statistics.median(ratios):5.2f} of the bare route"
            f"  {statistics.median(contender.cpu_microseconds):6.0f} µs of server CPU each"
        )


def _start(stack: ExitStack) -> list[Contender]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    bare = stack.enter_context(_bare_server(folder / "bare.log"))
    variables = {
        "DATABASE_URL": stack.enter_context(new_postgres_database()),
        "SECRET_KEY": SECRET_KEY,
        "APP_ENV": "testing",
        "BCRYPT_ROUNDS": "4",
        "MAX_SESSIONS_PER_USER": "1000",
        # The limit is there and counts, and is never reached.
        "RATELIMIT_TOKEN": "1000000 per minute",
        "RATELIMIT_LOGIN": "1000000 per minute",
    }
    flask("db", "upgrade", environment=environment_for(**variables))
    product = stack.enter_context(serving(folder / "product.log", **variables))
    token = _sign_in(product)["access_token"]
    refresh_tokens = folder / "refresh_tokens"

    def new_clients(number: int) -> None:
        pairs = [_sign_in(product) for _ in range(number)]
        refresh_tokens.write_text("".join(f"{pair['refresh_token']}\n" for pair in pairs))

    return [
        Contender("bare Flask route", bare, [f"{bare.url}/"]),
        Contender(
            "GET /users/me",
            product,
            ["-H", f"Authorization: Bearer {token}", f"{product.api}/users/me"],
        ),
        Contender(
            "POST /auth/refresh",
            product,
            [
                *("-s", str(ROOT / "benchmarks" / "refresh.lua")),
                f"{product.api}/auth/refresh",
                *("--", str(refresh_tokens)),
            ],
            new_clients=new_clients,
        ),
    ]


@contextmanager
def _bare_server(log: Path) -> Iterator[Server]:
    """The same gunicorn with the same workers and threads, without our application."""
    port = free_port()
    command = [
        BIN / "gunicorn",
        *("--config", os.devnull, "--bind", f"127.0.0.1:{port}", "--preload"),
        *("--worker-class", "gthread", "--threads", "32", "--keep-alive", "75"),
        *("--workers", str(os.cpu_count())),
        "benchmarks.bare:app",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                subprocess.run(["sleep", "0.1"], check=True)
        yield Server(process, url, log)
    finally:
        process.terminate()
        process.wait()


def _sign_in(server: Server) -> dict[str, str]:
    """A new session of the one user there is."""
    account = {"email": "ada@example.com", "username": "ada", "password": "password123"}
    requests.post(f"{server.api}/auth/register", json=account, timeout=10)
    credentials = {"username": "ada", "password": "password123"}
    answer = requests.post(f"{server.api}/auth/login", json=credentials, timeout=10)
    pair: dict[str, str] = answer.json()
    return pair


def _cpu_seconds(master: int) -> float:
    """User and system time of gunicorn's master and its workers so far."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    ticks = 0
    for process in [str(master), *children]:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
