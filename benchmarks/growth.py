"""Measures what a call costs at 10 thousand, 100 thousand and 1 million users.

    .venv/bin/python -m benchmarks.growth

It fills a PostgreSQL database of each size (TEST_POSTGRES_URL; it makes and
drops the databases). It measures the processor time of one ``GET /users/me``
and of one look-up at login. It measures the application, in the WSGI call, and
the database, in the server process of its connection, apart; the database must
be on this machine. Rounds are short and interleaved, so that a machine whose
speed drifts is fair to all. Hashing is not measured: its cost does not depend
on the number of users. It prints the ratio between the smallest and the
largest database, and the size of the largest on disk. With 1 million users it
takes some minutes and 1.5 GB.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy
from flask import Flask
from sqlalchemy import text
from werkzeug.test import EnvironBuilder

from app import create_app, read_settings
from app.auth.login import authentication
from app.extensions import db
from app.models import Session
from app.security import identifiers, tokens
from app.security.passwords import hashing
from tests.conftest import SECRET_KEY, new_postgres_database
from tests.factories import API, PASSWORD
from tests.servers import environment_for, flask

# One session for every second user, and one audit event for each: enough to see how they grow.
FILL = (
    """
    INSERT INTO users (email, username, username_key, hashed_password, full_name, created_at)
    SELECT 'person' || n || '@example.com', 'person' || n, 'person' || n, :hash,
           'Person Number ' || n, now() - n * interval '1 second'
    FROM generate_series(1, :size) AS n
    """,
    """
    INSERT INTO sessions (id, user_id, refresh_jti, ip, user_agent, created_at, refreshed_at,
                          expires_at, max_expires_at)
    SELECT gen_random_uuid(), id, gen_random_uuid(), '203.0.113.' || id % 256,
           'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
           at, at, at + interval '14 days', at + interval '30 days'
    FROM users, LATERAL (SELECT now() - id % 1000000 * interval '1 second' AS at) AS login
    WHERE id % 2 = 0
    """,
    """
    INSERT INTO audit_events (event, actor_id, subject_id, ip, user_agent, request_id, details)
    SELECT 'logged_in', id, id, '203.0.113.' || id % 256,
           'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
           gen_random_uuid()::text, '{}'
    FROM users
    """,
)
SIZES = """
    SELECT relname, pg_relation_size(c.oid), c.reltuples::bigint, relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = 'public' AND relkind IN ('r', 'i') AND pg_relation_size(c.oid) > 65536
    ORDER BY relkind DESC, 2 DESC
"""


@dataclass
class Cost:
    """Microseconds of processor time, one number for each round."""

    application: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)

    def over(self, other: "Cost") -> float:
        """The ratio to the other one, as the median of the rounds."""
        mine, others = (
            map(sum, zip(cost.application, cost.database, strict=True)) for cost in (self, other)
        )
        return statistics.median(m / o for m, o in zip(mine, others, strict=True))

    def __str__(self) -> str:
        application, database = map(statistics.median, (self.application, self.database))
        return f"{application:6.0f} µs application {database:5.0f} µs database"


@dataclass
class Place:
    """The application on a database of one size."""

    size: int
    app: Flask
    me: Cost = field(default_factory=Cost)
    look_up: Cost = field(default_factory=Cost)

    def run(self, calls: int) -> None:
        """Run one round: each call equally often, for people picked at random."""
        with self.app.app_context():
            # The round uses one connection, and watches its server process.
            server = _server_process()
        people = [random.randint(1, self.size // 2) * 2 for _ in range(calls)]
        requests = [self._request(token) for token in self._tokens(people)]
        self._measure(self.me, server, [lambda r=request: self._answer(r) for request in requests])
        emails = [
            f"person{person}@example.com" if person % 4 else f"nobody{person}@example.com"
            for person in people
        ]
        with self.app.app_context():
            self._measure(self.look_up, server, [lambda e=email: _look_up(e) for email in emails])

    def _measure(self, cost: Cost, server: int, calls: list[Callable[[], None]]) -> None:
        database, application = _cpu_nanoseconds(server), time.thread_time_ns()
        for call in calls:
            call()
        application = time.thread_time_ns() - application
        database = _cpu_nanoseconds(server) - database
        cost.application.append(application / len(calls) / 1000)
        cost.database.append(database / len(calls) / 1000)

    def _tokens(self, people: list[int]) -> list[str]:
        with self.app.app_context():
            found = db.session.scalars(
                sqlalchemy.select(Session).where(Session.user_id.in_(people))
            )
            pairs = [tokens.pair_for(session).access_token for session in found]
            db.session.remove()
        random.shuffle(pairs)
        return pairs

    def _request(self, token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        return EnvironBuilder(path=f"{API}/users/me", headers=headers).get_environ()

    def _answer(self, environ: dict[str, Any]) -> None:
        statuses: list[str] = []
        body = self.app(environ, lambda status, _headers: statuses.append(status))
        assert b'"username"' in b"".join(body), statuses
        body.close()  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="10000,100000,1000000", help="of users")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=300, help="of each kind in a round")
    given = parser.parse_args()

    with ExitStack() as stack:
        places = [stack.enter_context(_place(int(size))) for size in given.sizes.split(",")]
        for number in range(-1, given.rounds):
            _say(f"round {number + 1} of {given.rounds} …" if number >= 0 else "warming up …")
            for place in places:
                place.run(given.calls)
                if number < 0:
                    place.me, place.look_up = Cost(), Cost()

        print(f"{given.rounds} rounds of {given.calls} calls; medians of processor time for each")
        for place in places:
            print(f"{place.size:>9,} users  GET /users/me    {place.me}")
            print(f"{'':15}  look-up at login {place.look_up}")
        small, large = places[0], places[-1]
        print(
            f"{small.size:,} → {large.size:,} users: GET /users/me "
            f"{large.me.over(small.me):.2f} ×, look-up at login "
            f"{large.look_up.over(small.look_up):.2f} ×"
        )
        _print_sizes(large)


@contextmanager
def _place(size: int) -> Iterator[Place]:
    _say(f"filling {size:,} users …")
    with new_postgres_database() as url:
        variables = {
            "DATABASE_URL": url,
            "SECRET_KEY": SECRET_KEY,
            "APP_ENV": "testing",
            "BCRYPT_ROUNDS": "4",
            "LOG_LEVEL": "ERROR",
        }
        flask("db", "upgrade", environment=environment_for(**variables))
        app = create_app(read_settings(variables))
        with app.app_context():
            values = {"size": size, "hash": hashing.hash(PASSWORD)}
            for statement in FILL:
                db.session.execute(text(statement), values if ":size" in statement else {})
            db.session.commit()
            db.session.remove()
            maintenance = db.engine.execution_options(isolation_level="AUTOCOMMIT")
            with maintenance.connect() as connection:
                connection.execute(text("VACUUM ANALYZE"))
        try:
            yield Place(size, app)
        finally:
            with app.app_context():
                db.engine.dispose()


def _look_up(email: str) -> None:
    authentication.find(identifiers.identifier_of(email=email))


def _server_process() -> int:
    """The server process of the connection that the pool gives out next, each time."""
    db.session.remove()
    with db.engine.connect() as connection:
        number: int = connection.scalar(text("SELECT pg_backend_pid()"))
        return number


def _cpu_nanoseconds(process: int) -> int:
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0])


def _print_sizes(place: Place) -> None:
    print(f"\nOn disk with {place.size:,} users:")
    with place.app.app_context(), db.engine.connect() as connection:
        for name, size, rows, kind in connection.execute(text(SIZES)):
            what = "table" if kind == "r" else "index"
            print(f"  {what}  {name:32} {size / 2**20:7.1f} MiB  {size / rows:5.0f} bytes a row")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
