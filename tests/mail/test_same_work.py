"""Whether an account exists: calls that must not tell do the same work either way.

``make timing`` measures it; here statements and hashes are counted, which
catches work that is missing altogether.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import bcrypt
import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from app.models.outbox_message import OutboxMessage
from tests.factories import API, PASSWORD


@dataclass
class Work:
    """What a call cost: its statements, commits and bcrypt hashes by their cost."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    hashes: Counter[int] = field(default_factory=Counter)


@pytest.fixture
def work(
    app: Flask, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Work]]:
    """Do something, and say what it cost."""
    current = Work()

    def note_commit(_connection: Any) -> None:
        current.commits += 1

    def counted(function: Callable[[bytes, bytes], Any]) -> Callable[[bytes, bytes], Any]:
        def hash_and_count(password: bytes, salt: bytes) -> Any:
            current.hashes[int(salt.split(b"$")[2])] += 1
            return function(password, salt)

        return hash_and_count

    monkeypatch.setattr(bcrypt, "hashpw", counted(bcrypt.hashpw))
    monkeypatch.setattr(bcrypt, "checkpw", counted(bcrypt.checkpw))
    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "commit", note_commit)

    def measure(call: Callable[[], TestResponse], status: int) -> Work:
        nonlocal current
        current = Work()
        statements.clear()
        assert call().status_code == status
        current.statements = list(statements)
        return current

    yield measure
    sqlalchemy.event.remove(engine, "commit", note_commit)


def test_a_login_hashes_as_much_for_nobody_as_for_a_wrong_password(
    client: FlaskClient, ada: User, work: Callable[..., Work]
) -> None:
    def log_in(username: str) -> Callable[[], TestResponse]:
        credentials = {"username": username, "password": "a wrong password"}
        return lambda: client.post(f"{API}/auth/login", json=credentials)

    work(log_in("nobody"), 401)
    unknown, wrong = work(log_in("nobody"), 401), work(log_in("ada"), 401)

    assert wrong.hashes.total() == 1
    assert unknown == wrong


def test_a_forgotten_password_costs_the_same_for_nobody(
    client: FlaskClient, ada: User, work: Callable[..., Work]
) -> None:
    def forget(email: str) -> Callable[[], TestResponse]:
        return lambda: client.post(f"{API}/auth/password/forgot", json={"email": email})

    unknown, known = work(forget("nobody@example.com"), 202), work(forget("ada@example.com"), 202)

    assert known.commits == 1
    assert len(known.statements) == 1
    assert unknown == known


def test_a_mail_sent_once_more_costs_the_same_for_everybody(
    client: FlaskClient, ada: User, bob: User, work: Callable[..., Work]
) -> None:
    def resend(email: str) -> Callable[[], TestResponse]:
        return lambda: client.post(f"{API}/auth/email/resend", json={"email": email})

    unverified, verified, unknown = (
        work(resend(f"{name}@example.com"), 202) for name in ("bob", "ada", "nobody")
    )

    assert len(unverified.statements) == 1
    assert unverified == verified == unknown


def test_a_registration_in_hiding_costs_about_the_same_for_a_taken_address(
    client: FlaskClient,
    ada: User,
    set_settings: Callable[..., None],
    work: Callable[..., Work],
) -> None:
    set_settings(hide_account_existence=True)

    def register(username: str, email: str) -> Callable[[], TestResponse]:
        account = {"email": email, "username": username, "password": PASSWORD}
        return lambda: client.post(f"{API}/auth/register", json=account)

    new = work(register("bob", "bob@example.com"), 202)
    taken = work(register("grace", "ada@example.com"), 202)

    assert new.hashes == taken.hashes
    assert new.hashes.total() == 1
    assert new.commits == taken.commits == 1
    assert abs(len(new.statements) - len(taken.statements)) <= 1
    assert queued_by(new) == queued_by(taken) == 1


def queued_by(work: Work) -> int:
    table = OutboxMessage.__tablename__
    return sum(statement.startswith(f"INSERT INTO {table}") for statement in work.statements)
