"""The pages to download one's data and to delete the account."""

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from limits import parse_many

from app import clock
from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import enrol
from tests.cases import each
from tests.factories import PASSWORD
from tests.pages.person import Person

IN_TWO_WEEKS = "You are signed out, and your account will be deleted in 14 days."


def without_password(app: Flask) -> None:
    with app.app_context():
        db.session.execute(sqlalchemy.update(User).values(hashed_password=None))
        db.session.commit()


def is_closing(app: Flask) -> bool:
    with app.app_context():
        return db.session.scalars(sqlalchemy.select(User.deletion_due_at)).one() is not None


def test_the_data_are_a_file(ada_at_home: Person) -> None:
    page = ada_at_home.open("/account/export")
    assert "data-download" in page.html

    answer = ada_at_home.ask("POST", "/account/export", data=page.form().fields)

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == "application/json"
    assert answer.json["user"]["username"] == "ada"
    assert PASSWORD not in answer.text


@each("path", ["/account/export", "/account/delete"])
def test_what_needs_a_recent_login_says_so_and_asks_for_it(
    app: Flask, ada_at_home: Person, path: str
) -> None:
    without_password(app)
    page = ada_at_home.open(path)

    with time_machine.travel(clock.now() + timedelta(hours=1)):
        later = ada_at_home.open(path)
        answer = ada_at_home.ask("POST", path, data=page.form().fields)

    assert f"/account/reauthenticate?next={path}" in later.links
    assert [form for form in later.forms if form.action == path] == []
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/account/reauthenticate?next=")
    assert not is_closing(app)


def test_exports_are_limited_as_in_the_api(
    app: Flask, ada_at_home: Person, set_settings: Callable[..., None]
) -> None:
    fields = ada_at_home.open("/account/export").form().fields
    set_settings(ratelimit_enabled=True, ratelimit_writes=parse_many("2 per hour"))

    statuses = [
        ada_at_home.ask("POST", "/account/export", data=fields).status_code for _ in range(3)
    ]

    assert statuses == [200, 200, 429]


def test_a_deleted_account_waits_and_a_login_brings_it_back(
    app: Flask, ada_at_home: Person, ada: User
) -> None:
    elsewhere = Person(app)
    elsewhere.log_in(ada)
    page = ada_at_home.open("/account/delete")
    assert "Your account waits for 14 days" in page.text

    gone = ada_at_home.follow(ada_at_home.send(page, password=PASSWORD))

    assert (gone.path, gone.notice[: len(IN_TWO_WEEKS)]) == ("/account/login", IN_TWO_WEEKS)
    assert ada_at_home.client.get_cookie("__Host-session") is None
    assert elsewhere.open("/account").path == "/account/login"
    assert is_closing(app)

    back = ada_at_home.log_in(ada)

    assert back.notice == "Welcome back. Your account will not be deleted."
    assert not is_closing(app)
    assert ada_at_home.open("/account").notice == ""
    assert Person(app).log_in(ada).notice == ""


def test_the_wrong_password_deletes_nothing(app: Flask, ada_at_home: Person) -> None:
    page = ada_at_home.open("/account/delete")

    wrong = ada_at_home.send(page, password="wrong")
    none = ada_at_home.send(page, password="")

    assert (wrong.status, wrong.errors) == (422, {"password": "Incorrect password"})
    assert (none.status, none.errors.keys()) == (422, {"password"})
    assert not is_closing(app)


def test_an_account_without_a_password_is_deleted_after_a_recent_login(
    app: Flask, ada_at_home: Person
) -> None:
    without_password(app)
    page = ada_at_home.open("/account/delete")
    assert "password" not in page.form().names

    gone = ada_at_home.follow(ada_at_home.send(page))

    assert gone.notice.startswith(IN_TWO_WEEKS)
    assert is_closing(app)


def test_an_account_without_a_password_may_be_deleted_with_a_second_factor(
    app: Flask, ada_at_home: Person, client: FlaskClient, ada: User
) -> None:
    phone = enrol(client, ada)
    person = Person(app)
    step = person.log_in(ada)
    person.send(step, otp=phone.code())
    without_password(app)

    with time_machine.travel(clock.now() + timedelta(hours=1)):
        [way] = [one for one in person.open("/account/delete").links if "reauthenticate" in one]
        asked = person.open(way)
        page = person.follow(person.send(asked, otp=phone.code()))
        gone = person.follow(person.send(page))

    assert (page.path, gone.path) == ("/account/delete", "/account/login")
    assert is_closing(app)


def test_a_login_with_a_second_step_brings_the_account_back_too(
    app: Flask, visitor: Person, client: FlaskClient, ada: User
) -> None:
    phone = enrol(client, ada)
    with app.app_context():
        db.session.execute(sqlalchemy.update(User).values(deletion_due_at=clock.now()))
        db.session.commit()

    back = visitor.follow(visitor.send(visitor.log_in(ada), otp=phone.code()))

    assert back.notice == "Welcome back. Your account will not be deleted."


def test_the_last_superuser_stays(app: Flask, grace: User) -> None:
    person = Person(app)
    person.log_in(grace)

    answer = person.send(person.open("/account/delete"), password=PASSWORD)

    assert answer.status == 422
    assert "last" in answer.summary
    assert not is_closing(app)


def test_without_a_grace_period_nobody_is_told_to_come_back(
    ada_at_home: Person, set_settings: Callable[..., None]
) -> None:
    set_settings(account_deletion_grace=timedelta(0))
    page = ada_at_home.open("/account/delete")
    assert "you cannot come back" in page.text

    gone = ada_at_home.follow(ada_at_home.send(page, password=PASSWORD))

    assert gone.notice == "You are signed out, and your account is being deleted."
