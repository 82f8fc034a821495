"""What looks wrong about the deployment."""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.doctor import deployment_warnings
from app.extensions import db
from app.models import Session
from tests.factories import make_user


@pytest.fixture(autouse=True)
def nothing_told_yet(app: Flask) -> None:
    app.extensions.pop("deployment_warnings", None)


def knock(client: FlaskClient, peer: str = "10.0.0.9", **headers: str) -> None:
    sent = headers or {"X-Forwarded-For": "203.0.113.9"}
    client.get("/healthz", headers=sent, environ_base={"REMOTE_ADDR": peer}, buffered=True)


def seen(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        return [(row.kind, row.detail) for row in deployment_warnings.stored_warnings()]


def sign_in(app: Flask, people: int, logins: int, address: str | None = "10.0.0.9") -> None:
    users = [
        make_user(app, username=f"person{n}", email=f"person{n}@example.com") for n in range(people)
    ]
    now = clock.now()
    with app.app_context():
        for number in range(logins):
            later = now + timedelta(seconds=number)
            session = Session(
                id=uuid4(),
                user_id=users[number % people].id,
                ip=address,
                refreshed_at=later,
                expires_at=later,
                max_expires_at=later,
            )
            db.session.add(session)
        db.session.commit()


# Forwarding headers


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_forwarding_header_of_an_untrusted_peer_is_kept_for_the_doctor(
    app: Flask, client: FlaskClient, header: str
) -> None:
    knock(client, **{header: "203.0.113.9"})

    assert seen(app) == [("untrusted_forwarding", f"{header} from 10.0.0.9")]


def test_so_is_one_that_comes_through_a_unix_socket_that_nobody_trusts(
    app: Flask, client: FlaskClient
) -> None:
    knock(client, peer="")

    assert seen(app) == [("untrusted_forwarding", "X-Forwarded-For from a UNIX socket")]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X-Forwarded-For": "unknown"},
    ],
)
@pytest.mark.parametrize(
    ("trusted", "peer", "named"),
    [
        ({"TRUSTED_PROXIES": "10.0.0.9"}, "10.0.0.9", "10.0.0.9"),
        ({"TRUSTED_PROXIES": "unix"}, "", "a UNIX socket"),
        ({"TRUSTED_PROXY_COUNT": "1"}, "10.0.0.9", "10.0.0.9"),
    ],
)
def test_a_trusted_proxy_that_names_nobody_in_the_header_that_is_read_is_told_of(
    new_app: Callable[..., Flask],
    trusted: dict[str, str],
    peer: str,
    named: str,
    headers: dict[str, str],
) -> None:
    app = new_app(**trusted)

    knock(app.test_client(), peer=peer, **headers)

    [header] = headers
    assert seen(app) == [("unread_forwarding", f"{header} from {named}")]


def test_requests_without_them_are_nothing_to_tell(app: Flask, client: FlaskClient) -> None:
    knock(client, Accept="application/json")

    assert seen(app) == []


def test_nor_are_those_of_a_trusted_proxy(new_app: Callable[..., Flask]) -> None:
    app = new_app(TRUSTED_PROXIES="10.0.0.9")

    knock(app.test_client())

    assert seen(app) == []


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.0.0.9", ""])
@pytest.mark.parametrize("forwarded", ["{peer}", "{peer}:4711", "garbage, {peer}", "unix:"])
def test_nor_is_a_proxy_that_asks_for_itself(
    new_app: Callable[..., Flask], peer: str, forwarded: str
) -> None:
    app = new_app(TRUSTED_PROXIES="127.0.0.1,10.0.0.9,unix")

    knock(
        app.test_client(),
        peer=peer,
        **{
            "X-Forwarded-For": forwarded.format(peer=peer or "unix:").replace("unix::4711", "unix:")
        },
    )

    assert seen(app) == []


def test_an_empty_list_of_a_trusted_proxy_is_told_of(new_app: Callable[..., Flask]) -> None:
    app = new_app(TRUSTED_PROXIES="10.0.0.9")

    knock(app.test_client(), **{"X-Forwarded-For": " , ", "X-Real-IP": "203.0.113.9"})

    assert seen(app) == [("unread_forwarding", "X-Forwarded-For, X-Real-IP from 10.0.0.9")]


def test_the_newest_is_kept_and_told_again_after_an_hour(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as traveller:
        knock(client, peer="10.0.0.1")
        traveller.shift(timedelta(minutes=59))
        knock(client, peer="10.0.0.2")
        first = seen(app)
        traveller.shift(timedelta(minutes=1))
        knock(client, peer="10.0.0.3")

    assert first == [("untrusted_forwarding", "X-Forwarded-For from 10.0.0.1")]
    assert seen(app) == [("untrusted_forwarding", "X-Forwarded-For from 10.0.0.3")]


def test_a_database_that_cannot_keep_it_fails_no_request(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "sightings" in statement:
            raise sqlalchemy.exc.OperationalError(statement, {}, Exception("away"))

    caplog.set_level(logging.WARNING)
    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", refuse)
    try:
        response = client.get("/healthz", headers={"X-Real-IP": "::1"}, buffered=True)
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", refuse)

    assert response.status_code == 200
    assert "could not be stored" in caplog.text
    assert seen(app) == []


def test_each_kind_has_its_meaning() -> None:
    assert all("TRUSTED_PROXIES" in kind.meaning for kind in deployment_warnings.Kind)


# One address for everybody


def test_many_people_at_one_address_are_a_proxy(app: Flask) -> None:
    sign_in(app, people=5, logins=50)

    with app.app_context():
        assert deployment_warnings.only_address() == "10.0.0.9"


def test_so_are_many_people_without_an_address(app: Flask) -> None:
    sign_in(app, people=5, logins=50, address=None)

    with app.app_context():
        assert deployment_warnings.only_address() == "a UNIX socket"


@pytest.mark.parametrize(("people", "logins"), [(4, 50), (5, 49)])
def test_a_family_is_not(app: Flask, people: int, logins: int) -> None:
    sign_in(app, people=people, logins=logins)

    with app.app_context():
        assert deployment_warnings.only_address() is None


def test_nor_is_a_crowd_with_one_stranger_among_the_latest(app: Flask) -> None:
    sign_in(app, people=5, logins=50)
    with app.app_context():
        newest = db.session.scalars(
            sqlalchemy.select(Session).order_by(Session.max_expires_at.desc()).limit(1)
        ).one()
        newest.ip = "10.0.0.10"
        db.session.commit()

        assert deployment_warnings.only_address() is None


def test_what_was_before_the_latest_does_not_count(app: Flask) -> None:
    sign_in(app, people=5, logins=60)
    with app.app_context():
        oldest = db.session.scalars(
            sqlalchemy.select(Session).order_by(Session.max_expires_at).limit(1)
        ).one()
        oldest.ip = "10.0.0.10"
        db.session.commit()

        assert deployment_warnings.only_address() == "10.0.0.9"


def test_it_is_told_when_a_limit_refuses_somebody_once_in_an_hour(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(app, people=5, logins=50)
    caplog.set_level(logging.WARNING)

    with app.app_context():
        deployment_warnings.look_for_only_address()
        deployment_warnings.look_for_only_address()

    assert seen(app) == [("one_address", "10.0.0.9")]
    assert len([r for r in caplog.records if "share" in r.getMessage()]) == 1
