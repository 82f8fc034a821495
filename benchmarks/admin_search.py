"""Measures how long administrators wait for a list, and which index PostgreSQL uses for it.

    .venv/bin/python -m benchmarks.admin_search [--users 1000000]

It fills its own PostgreSQL database (TEST_POSTGRES_URL) with accounts, in SQL, and asks for
lists, filters and searches as ``GET /users`` does. The time of each is from the call of
``directory.find`` to its rows. It prints the median and the 99th percentile, and the largest
plan node of each. It ends with status 1 if one reads the whole table.
"""

import argparse
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import flask_migrate
from sqlalchemy import event, text

from app import create_app, read_settings
from app.administration import directory
from app.extensions import db
from tests.conftest import ENVIRONMENT, new_postgres_database

FILL = """
WITH names AS (
    SELECT ARRAY['ada','grace','alan','edsger','barbara','donald','frances','john','katherine',
                 'dennis','margaret','ken','radia','tim','jean','niklaus','mary','tony','sophie',
                 'linus'] AS first,
           ARRAY['lovelace','hopper','turing','dijkstra','liskov','knuth','allen','backus',
                 'johnson','ritchie','hamilton','thompson','perlman','lee','bartik','wirth',
                 'jackson','hoare','wilson','torvalds','neumann','shannon','wiener','boole'] AS last
), people AS (
    SELECT n, first[1 + n * 7 % 20] AS first, last[1 + n / 20 * 5 % 24] AS last
    FROM names, generate_series(1, :users) AS n
)
INSERT INTO users (email, username, username_key, full_name, is_active, is_superuser,
                   email_verified, created_at)
SELECT first || '.' || last || n || '@example' || n % 50 || '.com', first || n, first || n,
       initcap(first || ' ' || last), n % 50 <> 0, n % 200000 = 0, n % 10 <> 0,
       timestamptz '2024-01-01' + n * interval '1 minute'
FROM people
"""

MIDDLE = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=500_000)
LISTS: dict[str, dict[str, Any]] = {
    "the oldest": {},
    "the newest": {"sort": "-created_at"},
    "by email": {"sort": "email"},
    "by username": {"sort": "username"},
    "inactive": {"is_active": False},
    "inactive by email": {"is_active": False, "sort": "email"},
    "superusers": {"is_superuser": True, "sort": "-id"},
    "unverified": {"email_verified": False},
    "unverified, newest": {"email_verified": False, "sort": "-created_at"},
    "unverified and inactive": {"email_verified": False, "is_active": False},
    "a day": {"created_after": MIDDLE, "created_before": MIDDLE + timedelta(days=1)},
    "q=ada.lovelace": {"q": "ada.lovelace"},
    "q=ada.lovelace, newest": {"q": "ada.lovelace", "sort": "-created_at"},
    "q=lovelace1234": {"q": "lovelace1234"},
    "q=Grace Hop": {"q": "Grace Hop"},
    "q=exam, in every one": {"q": "exam"},
    "q=zzzyx, in none": {"q": "zzzyx"},
    "q=ad, too short for the index": {"q": "ad"},
    "q=h, too short for the index": {"q": "h"},
    "q=zq, too short for the index, in none": {"q": "zq"},
    "q=hopper, inactive, by email": {"q": "hopper", "is_active": False, "sort": "email"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100, help="how often each list is asked for")
    given = parser.parse_args()
    with new_postgres_database() as url:
        app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
        with app.app_context():
            try:
                fill(given.users)
                return _measure(given.times)
            finally:
                db.session.remove()
                db.engine.dispose()


def fill(users: int) -> None:
    print(f"Filling in {users:,} users …", file=sys.stderr)
    begun = time.perf_counter()
    flask_migrate.upgrade()
    db.session.execute(text(FILL), {"users": users})
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE users"))
        sizes = connection.execute(
            text(
                "SELECT indexrelid::regclass::text, pg_size_pretty(pg_relation_size(indexrelid)) "
                "FROM pg_index WHERE indrelid = 'users'::regclass ORDER BY 1"
            )
        )
        for name, size in sizes:
            print(f"{name}: {size}")
    print(f"… took {time.perf_counter() - begun:.0f} s", file=sys.stderr)


def _measure(times: int) -> int:
    scans = 0
    print(f"{'list':32} {'rows':>5} {'median':>9} {'p99':>9}  read by")
    for name, query in LISTS.items():
        plan, found = _explained(query)
        taken = sorted(_time(query) for _ in range(times))
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        scans += "Seq Scan on users" in plan
        print(
            f"{name:32} {found:5} {statistics.median(taken):6.1f} ms {p99:6.1f} ms  {nodes(plan)}"
        )
    return 1 if scans else 0


def _time(query: dict[str, Any]) -> float:
    begun = time.perf_counter()
    directory.find(**query, limit=20)
    return (time.perf_counter() - begun) * 1000


def _explained(query: dict[str, Any]) -> tuple[str, int]:
    """How PostgreSQL answers the statement that the application sends, and how many rows."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        page = directory.find(**query, limit=20)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    ((statement, parameters),) = sent
    with db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return "\n".join(line for (line,) in plan), len(page.items)


def nodes(plan: str) -> str:
    """The plan node that reads the table, in short."""
    lines = [line.strip().removeprefix("->").strip() for line in plan.splitlines()]
    return ", ".join(line.split("  (")[0] for line in lines if "Scan" in line.split("  (")[0])


if __name__ == "__main__":
    sys.exit(main())
