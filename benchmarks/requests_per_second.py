"""Compares the requests per second of the product's calls with the best that Flask can do.

    .venv/bin/python -m benchmarks.requests_per_second

It starts the product on PostgreSQL and on SQLite, the hand-made ceiling on the
product's own database, and a bare Flask route, all on the same gunicorn. It
loads them with wrk (Debian: ``apt-get install wrk``) in interleaved rounds, so
that a machine whose speed drifts is fair to all. It prints medians, ratios
within a round, the processor time that server and database spent on a request,
and the memory of the servers afterwards. TEST_POSTGRES_URL names the
PostgreSQL server; the benchmark makes and drops the databases.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import servers
from tests.conftest import new_postgres_database
from tests.factories import API
from tests.servers import ROOT, Server


@dataclass
class Contender:
    """One call of one server with a number of connections, and its measurements."""

    name: str
    server: Server
    connections: int
    arguments: list[str]
    # This runs before each round. wrk then gets a thread for each connection: separate clients.
    new_clients: Callable[[int], None] | None = None
    per_second: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)

    def run(self, seconds: int) -> None:
        """One round of load."""
        if self.new_clients:
            self.new_clients(self.connections)
        before = servers.cpu_seconds(self.server), servers.database_cpu_seconds()
        seen = servers.load(
            *self.arguments,
            connections=self.connections,
            seconds=seconds,
            threads=self.connections if self.new_clients else 2,
        )
        after = servers.cpu_seconds(self.server), servers.database_cpu_seconds()
        self.per_second.append(seen.per_second)
        self.p99.append(seen.p99_milliseconds)
        self.cpu.append((after[0] - before[0]) / seen.requests * 1e6)
        self.database_cpu.append((after[1] - before[1]) / seen.requests * 1e6)

    def forget(self) -> None:
        for measured in (self.per_second, self.p99, self.cpu, self.database_cpu):
            measured.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each contender in a round")
    given = parser.parse_args()

    with ExitStack() as stack:
        contenders = _start(stack)
        for contender in contenders:
            contender.run(2)
            contender.forget()
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds} …", file=sys.stderr)
            for contender in contenders:
                contender.run(given.seconds)
        _report(contenders, given.rounds, given.seconds)


def _report(contenders: list[Contender], rounds: int, seconds: int) -> None:
    print(f"{rounds} interleaved rounds of {seconds} s; medians\n")
    print(f"{'':34} {'conn.':>5} {'req/s':>7} {'p99 ms':>7} {'server µs':>10} {'database µs':>12}")
    for one in contenders:
        print(
            f"{one.name:34} {one.connections:5} {statistics.median(one.per_second):7.0f}"
            f" {statistics.median(one.p99):7.1f} {statistics.median(one.cpu):10.0f}"
            f" {statistics.median(one.database_cpu):12.0f}"
        )
    print()
    for one in contenders:
        for other in contenders:
            if other.name in COMPARED.get(one.name, ()) and other.connections == one.connections:
                pairs = zip(one.per_second, other.per_second, strict=True)
                print(
                    f"{one.name}, {one.connections} connections:"
                    f" {statistics.median(a / b for a, b in pairs):.2f} of {other.name}"
                )
    print()
    for server in {id(one.server): one for one in contenders}.values():
        print(f"{server.name}: {servers.memory_mebibytes(server.server):.0f} MiB (PSS)")


ME, REFRESH = "GET /users/me", "POST /auth/refresh"
COMPARED = {
    ME: (f"{ME} by hand",),
    REFRESH: (f"{REFRESH} by hand",),
    f"{ME} on SQLite": (ME,),
    f"{REFRESH} on SQLite": (REFRESH,),
}


def _start(stack: ExitStack) -> list[Contender]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    url = stack.enter_context(new_postgres_database())
    product = stack.enter_context(servers.product(folder, url, BCRYPT_ROUNDS="4"))
    on_sqlite = stack.enter_context(
        servers.product(folder, f"sqlite:///{folder}/app.db", BCRYPT_ROUNDS="4")
    )
    ceiling = stack.enter_context(
        servers.beside(folder, "benchmarks.ceiling:app", DATABASE_URL=url)
    )
    bare = stack.enter_context(servers.beside(folder, "benchmarks.bare:app"))
    servers.register(product, "ada")
    servers.register(on_sqlite, "ada")
    tokens = {server.url: _tokens_file(folder, server) for server in (product, on_sqlite)}

    contenders = []
    for connections in (16, 64):
        contenders += [
            Contender("a bare Flask route", bare, connections, [f"{bare.url}/"]),
            _me(f"{ME} by hand", ceiling, connections, tokens[product.url]),
            _me(ME, product, connections, tokens[product.url]),
        ]
    return [
        *contenders,
        _refresh(folder, f"{REFRESH} by hand", ceiling, signed_in_at=product),
        _refresh(folder, REFRESH, product, signed_in_at=product),
        _me(f"{ME} on SQLite", on_sqlite, 16, tokens[on_sqlite.url]),
        _refresh(folder, f"{REFRESH} on SQLite", on_sqlite, signed_in_at=on_sqlite),
    ]


def _tokens_file(folder: Path, server: Server) -> Path:
    file = folder / f"access_tokens-{server.process.pid}"
    file.write_text("".join(f"{token}\n" for token in servers.access_tokens(server)))
    return file


def _me(name: str, server: Server, connections: int, tokens: Path) -> Contender:
    script = ["-s", str(ROOT / "benchmarks" / "me.lua")]
    arguments = [*script, f"{server.url}{API}/users/me", "--", str(tokens)]
    return Contender(name, server, connections, arguments)


def _refresh(folder: Path, name: str, server: Server, *, signed_in_at: Server) -> Contender:
    tokens = folder / f"refresh_tokens-{server.process.pid}"

    def new_clients(number: int) -> None:
        pairs = [servers.log_in(signed_in_at, "ada") for _ in range(number)]
        tokens.write_text("".join(f"{pair['refresh_token']}\n" for pair in pairs))

    script = ["-s", str(ROOT / "benchmarks" / "refresh.lua")]
    arguments = [*script, f"{server.url}{API}/auth/refresh", "--", str(tokens)]
    return Contender(name, server, 16, arguments, new_clients)


if __name__ == "__main__":
    main()
