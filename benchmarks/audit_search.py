"""Measures how long a page of the audit log takes, and which index PostgreSQL uses for it.

    .venv/bin/python -m benchmarks.audit_search [--events 1000000]

It fills its own PostgreSQL database (TEST_POSTGRES_URL) with events, in SQL, and asks for pages as
``/admin/audit`` does. The time of each is from the call of ``activity.matching`` to its rows. It
prints the median and the 99th percentile, and the plan nodes that read the table. It ends with
status 1 if one reads the whole table. Before that it prints the sizes of the indexes.
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
from app.audit import activity
from app.extensions import db
from benchmarks.admin_search import nodes
from tests.conftest import ENVIRONMENT, new_postgres_database

# A login every half minute, most of them good. One account in a hundred is an administrator, who
# changes others. There is one attack, and all others who log out have one address.
FILL = """
INSERT INTO audit_events (at, event, actor_id, subject_id, ip, user_agent, request_id, details)
SELECT timestamptz '2024-01-01' + n * interval '30 seconds',
       CASE WHEN n % 100000 = 0 THEN 'role_deleted' WHEN n % 1000 = 0 THEN 'user_deactivated'
            WHEN n % 5 = 0 THEN 'login_failed' WHEN n % 5 = 1 THEN 'logged_out'
            ELSE 'login_succeeded' END,
       CASE WHEN n % 1000 = 0 THEN 7 WHEN n % 5 = 0 THEN NULL
            ELSE 1 + n % 100000 * 7919 % 100000 END,
       CASE WHEN n % 100000 = 0 THEN NULL ELSE 1 + n % 100000 * 7919 % 100000 END,
       CASE WHEN n BETWEEN 3000 AND 3999 THEN '198.51.100.66' WHEN n % 5 = 1 THEN '203.0.113.2'
            WHEN n % 3 = 0 THEN '203.0.113.1'
            ELSE '10.' || n % 250 || '.' || n / 250 % 250 || '.' || n % 7 END,
       'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0',
       gen_random_uuid()::text, '{"session_id": "00000000-0000-4000-8000-000000000000"}'
FROM generate_series(1, :events) AS n
"""

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
LONG_AGO = BEGIN + timedelta(days=3)
SEARCHES: dict[str, dict[str, Any]] = {
    "the newest": {},
    "a person": {"subject": 4711},
    "an administrator": {"actor": 7},
    "an actor who acts on nobody": {"actor": 4711},
    "a frequent event": {"event": "login_failed"},
    "a rare event": {"event": "role_deleted"},
    "an event that never happened": {"event": "user_erased"},
    "an address of many": {"ip": "203.0.113.1"},
    "an address of an old attack": {"ip": "198.51.100.66"},
    "an address of nobody": {"ip": "192.0.2.1"},
    "a request of nobody": {"request_id": "nothing"},
    "until long ago": {"until": LONG_AGO},
    "until the middle": {"until": BEGIN + timedelta(days=174)},
    "a rare event until the middle": {
        "event": "user_deactivated",
        "until": BEGIN + timedelta(days=174),
    },
    "an hour long ago": {"since": LONG_AGO, "until": LONG_AGO + timedelta(hours=1)},
    "a frequent event until long ago": {"event": "login_failed", "until": LONG_AGO},
    "an address of many until long ago": {"ip": "203.0.113.1", "until": LONG_AGO},
    "since tomorrow": {"since": datetime.now(UTC) + timedelta(days=1)},
    "failures from an address of many": {"event": "login_failed", "ip": "203.0.113.1"},
    "what an administrator did to a person": {"actor": 7, "subject": 4711},
    "a frequent event of an old attack": {"event": "login_failed", "ip": "198.51.100.66"},
    # Each fits a fifth of all events or more, and no event fits both.
    "two frequent ones that never meet": {"event": "logged_out", "ip": "203.0.113.1"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=50, help="how often each page is asked for")
    given = parser.parse_args()
    with new_postgres_database() as url:
        app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
        with app.app_context():
            try:
                _fill(given.events)
                return _measure(given.times)
            finally:
                db.session.remove()
                db.engine.dispose()


def _fill(events: int) -> None:
    print(f"Filling in {events:,} events …", file=sys.stderr)
    flask_migrate.upgrade()
    db.session.execute(text(FILL), {"events": events})
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE audit_events"))
        sizes = connection.execute(
            text(
                "SELECT indexrelid::regclass::text, pg_size_pretty(pg_relation_size(indexrelid)) "
                "FROM pg_index WHERE indrelid = 'audit_events'::regclass ORDER BY 1"
            )
        )
        for name, size in sizes:
            print(f"{name}: {size}")


def _measure(times: int) -> int:
    scans = 0
    print(f"{'page':40} {'rows':>5} {'median':>9} {'p99':>9}  read by")
    for name, query in SEARCHES.items():
        plans, found = _explained(query)
        taken = sorted(_time(query) for _ in range(times))
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        scans += "Seq Scan on audit_events" in plans
        median = statistics.median(taken)
        print(f"{name:40} {found:5} {median:6.1f} ms {p99:6.1f} ms  {nodes(plans)}")
    return 1 if scans else 0


def _time(query: dict[str, Any]) -> float:
    begun = time.perf_counter()
    activity.matching(**query, limit=20)
    return (time.perf_counter() - begun) * 1000


def _explained(query: dict[str, Any]) -> tuple[str, int]:
    """How PostgreSQL answers the statements that the application sends, and how many rows."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        page = activity.matching(**query, limit=20)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    plans = []
    with db.engine.connect() as connection:
        for statement, parameters in sent:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            plans += [line for (line,) in plan]
    return "\n".join(plans), len(page.items)


if __name__ == "__main__":
    sys.exit(main())
