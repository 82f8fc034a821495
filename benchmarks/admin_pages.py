"""Measures the pages of the administration on a large installation.

    .venv/bin/python -m benchmarks.admin_pages [--users 1000000]

It fills its own PostgreSQL database (TEST_POSTGRES_URL) in SQL: users, and for each user two
events of the audit log, a session for each fifth and a mail for each hundredth. Then it opens each
page of the administration in one process and one thread, as a superuser who is signed in by
a cookie. It prints the number of statements of each page, and the median and the 99th percentile of
its time. It ends with status 1 if a statement reads the whole of one of these tables.
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import event, text

from app import create_app, read_settings
from app.extensions import db
from benchmarks.admin_search import fill
from benchmarks.pages import asker
from tests import factories
from tests.conftest import ENVIRONMENT, new_postgres_database
from tests.cookies import browser, secret_of
from tests.factories import API

# Tables with a row for many users. The others are small, and PostgreSQL may read them whole.
LARGE = ("users", "audit_events", "sessions", "outbox_messages")

EVENTS = """
INSERT INTO audit_events (at, event, actor_id, subject_id, ip, user_agent, request_id, details)
SELECT now() - (:users * 2 - n) * interval '10 seconds',
       (ARRAY['login_succeeded','login_failed','user_registered','logout','password_changed',
              'profile_updated','session_ended','email_change_requested'])[1 + n % 8],
       CASE WHEN n % 100 = 0 THEN 1 + n % 7 ELSE 1 + n / 2 END, 1 + n / 2,
       '203.0.113.' || n % 250, 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0',
       md5(n::text), '{}'::jsonb
FROM generate_series(1, :users * 2 - 2) AS n
"""
SESSIONS = """
INSERT INTO sessions (id, user_id, refresh_jti, ip, user_agent, created_at, refreshed_at,
                      expires_at, max_expires_at)
SELECT gen_random_uuid(), n, gen_random_uuid(), '203.0.113.' || n % 250, 'curl/8.0',
       now() - n % 720 * interval '1 hour', now() - n % 100 * interval '1 minute',
       now() + (n % 30 - 5) * interval '1 day', now() + interval '30 days'
FROM generate_series(5, :users, 5) AS n
"""
MAILS = """
INSERT INTO outbox_messages (message_id, user_id, recipient, message, locale, created_at, due_at,
                             attempts, delivered_at, set_aside_at, last_error)
SELECT '<' || n || '@example.com>', n, 'person' || n || '@example.com', 'verify_email', 'en',
       now() - n * interval '1 second', now() + interval '1 hour', n % 5,
       CASE WHEN n % 300 = 0 THEN NULL ELSE now() END,
       CASE WHEN n % 900 = 0 THEN now() END, CASE WHEN n % 900 = 0 THEN '550 no such mailbox' END
FROM generate_series(100, :users, 100) AS n
"""

PAGES = (
    "/admin/users",
    "/admin/users?sort=-created_at",
    "/admin/users?q=ada.lovelace",
    "/admin/users?q=zzzyx",
    "/admin/users?is_active=false&sort=email",
    "/admin/users?email_verified=false",
    "/admin/users/new",
    "/admin/users/500000",
    "/admin/users/500000/factors",
    "/admin/roles",
    "/admin/audit",
    "/admin/audit?subject=500000",
    "/admin/audit?actor=3",
    "/admin/audit?event=password_changed",
    "/admin/audit?event=role_created",
    "/admin/audit?ip=203.0.113.7",
    "/admin/audit?since=2026-01-01T00:00&until=2026-01-02T00:00",
    "/admin/audit?request_id=none",
    "/admin/mail",
    "/admin/mail?state=set_aside",
    "/admin/system",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100, help="how often each page is opened")
    given = parser.parse_args()
    with new_postgres_database() as url:
        app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
        try:
            with app.app_context():
                fill(given.users)
                _fill_the_rest(given.users)
            return _measure(app, _superuser_cookie(app), given.times, given.users)
        finally:
            with app.app_context():
                db.engine.dispose()


def _fill_the_rest(users: int) -> None:
    print("Filling in events, sessions and mails …", file=sys.stderr)
    for statement in (EVENTS, SESSIONS, MAILS):
        db.session.execute(text(statement), {"users": users})
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _superuser_cookie(app: Flask) -> str:
    grace = factories.make_user(
        app, username="grace", email="grace@example.com", superuser=True, email_verified=True
    )
    client = browser(app)
    given = {"username": grace.username, "password": factories.PASSWORD}
    client.post(f"{API}/auth/login?cookie=true", json=given)
    return f"__Host-session={secret_of(client)}"


def _measure(app: Flask, cookie: str, times: int, users: int) -> int:
    scans = []
    print(f"{'page':60} {'statements':>10} {'median':>9} {'p99':>9}")
    for path in PAGES:
        page = path.replace("500000", str(users // 2))
        ask = asker(app, page, {"Cookie": cookie, "Accept": "text/html"})
        sent = _statements(app, ask)
        for statement in sent:
            scans += [(path, table, statement[0]) for table in _read_whole(app, *statement)]
        taken = sorted(_time(ask) for _ in range(times))
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        print(f"{path:60} {len(sent):10} {statistics.median(taken):6.1f} ms {p99:6.1f} ms")
    for path, table, statement in scans:
        print(f"{path} reads the whole of {table}: {' '.join(statement.split())[:300]}")
    return 1 if scans else 0


def _time(ask: Callable[[], None]) -> float:
    begun = time.perf_counter()
    ask()
    return (time.perf_counter() - begun) * 1000


def _statements(app: Flask, ask: Callable[[], None]) -> list[tuple[str, Any]]:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sent


def _read_whole(app: Flask, statement: str, parameters: Any) -> list[str]:
    if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
        return []
    with app.app_context(), db.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        read = re.findall(r"Seq Scan on (\w+)", "\n".join(line for (line,) in plan))
    return [table for table in read if table in LARGE]


if __name__ == "__main__":
    sys.exit(main())
