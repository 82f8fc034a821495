"""The administration page about the system."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, true, update

from app import clock
from app.administration import last_day
from app.administration.last_day import Day
from app.audit.vocabulary import Event
from app.auth.login import suspensions
from app.auth.login.throttle import Kind
from app.doctor import findings, glance
from app.extensions import db
from app.features.checks import Check, Reason, Weight
from app.mail import messages
from app.models import AuditEvent, LoginThrottle, OutboxMessage, Session, User
from app.models.login_throttle import ANYWHERE
from app.security import pseudonyms
from tests.conftest import SECRET_KEY
from tests.factories import log_in
from tests.mail.letters import queue
from tests.pages.person import Person

PATH = "/admin/system"


def add(app: Flask, *rows: Any) -> None:
    with app.app_context():
        db.session.add_all(rows)
        db.session.commit()


def counted(app: Flask) -> Day:
    with app.app_context():
        return last_day.read()


def series(which: list[last_day.Series] | None) -> dict[str, list[int]]:
    """The hours in which something happened: now is 0, and the oldest is 23."""
    assert which is not None
    return {
        one.name: [23 - at for at, number in enumerate(one.numbers) for _ in range(number)]
        for one in which
    }


def stop(app: Flask, user_id: int, network: str = ANYWHERE, failures: int = 100) -> None:
    until = None if network == ANYWHERE else clock.now() + timedelta(minutes=30)
    with app.app_context():
        subject = pseudonyms.of(Kind.PASSWORD, str(user_id)) if user_id else "0" * 64
    row = LoginThrottle(subject=subject, network=network, failures=failures, blocked_until=until)
    row.last_failure_at = clock.now()
    add(app, row)


def test_the_page_says_what_runs_and_shows_no_secret(grace_at_home: Person) -> None:
    page = grace_at_home.open(PATH)

    assert page.status == 200
    assert "up to date" in page.text
    assert "PUBLIC_URL is http://localhost:8000: others can read" in page.text
    assert "30 in 1 hour" in page.text
    assert SECRET_KEY not in page.html


# The last 24 hours


def test_events_and_mails_are_counted_by_their_hours(app: Flask, ada: User) -> None:
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)

    def event(name: str, hours: int, **details: str) -> AuditEvent:
        at = this_hour - timedelta(hours=hours)
        return AuditEvent(event=name, subject_id=ada.id, at=at, details=details)

    add(
        app,
        event(Event.USER_REGISTERED, 0),
        event(Event.USER_REGISTERED, 23),
        event(Event.USER_REGISTERED, 24),
        event(Event.USER_CREATED, 5),
        event(Event.LOGIN_SUCCEEDED, 2),
        event(Event.LOGIN_SUCCEEDED, 2),
        event(Event.LOGIN_FAILED, 3, reason="wrong_password"),
        event(Event.LOGIN_FAILED, 3, reason="wrong_passkey"),
        event("factor_failed", 4, method="totp"),
        event(Event.LOGIN_FAILED, 3, reason="unknown_user"),
        event(Event.LOGIN_FAILED, 1, reason="inactive"),
        event(Event.LOGGED_OUT, 1),
    )
    now = clock.now()
    for columns in (
        {},
        {"delivered_at": now},
        {"set_aside_at": now},
        {"created_at": this_hour - timedelta(hours=24)},
    ):
        number = queue(app, messages.address_in_use)
        with app.app_context():
            mail = update(OutboxMessage).where(OutboxMessage.id == number)
            db.session.execute(mail.values({"created_at": this_hour - timedelta(hours=7)}))
            if columns:
                db.session.execute(mail.values(columns))
            db.session.commit()

    day = counted(app)

    assert [day.hours[0], day.hours[-1]] == [this_hour - timedelta(hours=23), this_hour]
    assert series(day.registrations) == {"registered": [23, 0], "made": [5]}
    assert series(day.logins) == {
        "succeeded": [2, 2],
        "wrong": [4, 3, 3],
        "unknown": [3],
        "refused": [1],
    }
    assert series(day.mails) == {"delivered": [7], "waiting": [7], "set_aside": [7]}


def test_a_session_counts_while_it_lives(app: Flask, ada: User) -> None:
    now = clock.now()
    last_hours_end = now.replace(minute=0, second=0, microsecond=0)

    def session(begun: datetime, expires: datetime, ended: datetime | None = None) -> Session:
        times = {"created_at": begun, "refreshed_at": begun, "max_expires_at": expires}
        return Session(user_id=ada.id, expires_at=expires, ended_at=ended, **times)

    hour, day = timedelta(hours=1), timedelta(days=1)
    add(
        app,
        session(now - 9 * day, now + day),
        # Alive at the ends of two hours.
        session(last_hours_end - 5.5 * hour, last_hours_end - 3.5 * hour),
        session(last_hours_end - 5.5 * hour, now + day, ended=last_hours_end - 3.5 * hour),
        # Over before the day began.
        session(now - 9 * day, now - 2 * day),
        session(now - 9 * day, now + day, ended=now - 2 * day),
    )

    alive = counted(app).sessions

    assert alive is not None
    assert alive[0].numbers == (1,) * 17 + (3, 3) + (1,) * 5


@pytest.mark.postgresql
def test_very_many_sessions_are_estimated_from_some(
    app: Flask, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    times = dict.fromkeys(("created_at", "refreshed_at"), now)
    until = now + timedelta(days=1)
    add(app, Session(user_id=ada.id, expires_at=until, max_expires_at=until, **times))
    # The database multiplies the row itself, which it does well within the limit of a statement.
    taken = {"id": func.gen_random_uuid(), "refresh_jti": func.gen_random_uuid()}
    columns = [taken.get(column.name, column) for column in Session.__table__.columns]
    copies = select(*columns).join(func.generate_series(2, 2000).alias(), true())
    with app.app_context():
        db.session.execute(insert(Session).from_select(Session.__table__.columns.keys(), copies))
        db.session.execute(text("ANALYZE sessions"))
        db.session.commit()
    monkeypatch.setattr(last_day, "MOST_SESSIONS_READ", 1000)

    day = counted(app)

    assert day.is_estimated
    assert day.sessions is not None
    # A page of the table has some dozens of sessions, and each page is read or not by chance.
    assert 500 < day.sessions[0].numbers[-1] < 3500


@pytest.mark.postgresql
def test_a_chart_that_takes_too_long_is_left_out(
    app: Flask, grace_at_home: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_since: datetime) -> None:
        db.session.execute(text("SELECT pg_sleep(20)"))

    monkeypatch.setattr(last_day, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(last_day, "_events", slow)

    page = grace_at_home.open(PATH)

    assert page.status == 200
    assert page.text.count("Counting took too long.") == 2


def test_a_chart_is_drawn_and_is_a_table_too(app: Flask, ada: User, grace_at_home: Person) -> None:
    for _ in range(3):
        log_in(app.test_client(), ada)

    page = grace_at_home.open(PATH)

    assert "Succeeded: 4" in page.text
    assert '<rect class="k1" x="231" y="0.0" width="8" height="60.0"/>' in page.html
    assert page.html.count("<tr>") == 2 * 25
    assert "style=" not in page.html


# Accounts that are stopped


def test_stopped_accounts_are_listed_and_can_be_unlocked(
    app: Flask, ada: User, bob: User, grace_at_home: Person
) -> None:
    stop(app, ada.id)
    stop(app, bob.id, "192.0.2.0/24", 6)
    stop(app, 0, "192.0.2.0/24", 6)

    page = grace_at_home.open(PATH)

    assert {f"/admin/users/{user.id}" for user in (ada, bob)} <= set(page.links)
    assert "suspended Wrong passwords in a row: 100" in page.text
    assert "must wait Wrong passwords in a row: 6 192.0.2.0/24" in page.text
    assert "Others that are stopped: 1." in page.text
    grace_at_home.send(page, f"/admin/users/{ada.id}/unlock")
    assert f"/admin/users/{ada.id}" not in grace_at_home.open(PATH).links


def test_among_many_accounts_only_those_are_looked_at_that_failed_lately(
    app: Flask, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspensions, "FEW", 1)
    stop(app, ada.id)
    stop(app, bob.id)
    long_ago = clock.now() - timedelta(days=3)
    add(
        app,
        AuditEvent(event=Event.LOGIN_FAILED, subject_id=ada.id, at=clock.now()),
        AuditEvent(event=Event.LOGIN_FAILED, subject_id=bob.id, at=long_ago),
        AuditEvent(event=Event.LOGIN_SUCCEEDED, subject_id=bob.id, at=clock.now()),
    )

    with app.app_context():
        found = suspensions.glance()

    assert [one.user_id for one in found.accounts] == [ada.id]
    assert found.others == 1


# Checks


def check(name: str, reason: Any, **more: Any) -> Check:
    def test(_settings: Any) -> str | None:
        if isinstance(reason, str):
            return reason
        result: str | None = reason()
        return result

    return Check(name, Weight.WEAK, "Run flask db upgrade.", test, **more)


def test_slow_and_broken_checks_are_left_out_and_the_others_are_translated(
    app: Flask, grace_at_home: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        db.session.execute(text("SELECT * FROM no_such_table"))

    checks = [
        check("slow", "It reads everything.", is_slow=True),
        check("broken", broken),
        check("ours", Reason("These limits are looser than by default: %(limits)s.", limits="X")),
        check("theirs", "The shop is closed."),
        check("stopping", "Nothing works.", stops=True),
        check("later", "It needs what is missing."),
    ]
    monkeypatch.setattr(findings, "all_checks", lambda: checks)
    grace_at_home.client.set_cookie("locale", "zh")
    with app.app_context():
        db.session.execute(update(User).values(locale="zh"))
        db.session.commit()

    page = grace_at_home.open(PATH)

    assert page.status == 200
    assert "以下限制比默认值宽松：X。" in page.text
    assert '<p lang="en">The shop is closed.' in page.html
    assert "请运行 flask db upgrade。" in page.text
    assert "Nothing works." in page.text
    assert "It reads everything." not in page.text
    assert "It needs what is missing." not in page.text
    assert "未在此运行的检查：3。" in page.text


def test_no_check_begins_when_the_time_is_over(
    app: Flask, monkeypatch: pytest.MonkeyPatch, set_settings: Callable[..., None]
) -> None:
    monkeypatch.setattr(glance, "LONGEST_SECONDS", -1)

    with app.app_context():
        seen = glance.glance(app.config["SETTINGS"])
        names = [check.name for check in findings.all_checks()]

    assert seen.findings == ()
    assert seen.left_out == tuple(names)
