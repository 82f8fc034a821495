"""The page of the devices."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.extensions import db
from app.models import Session, User
from tests.auth.sessions.test_sessions import claims_of
from tests.cases import each
from tests.cookies import SESSION, cookies_set
from tests.factories import log_in, me
from tests.pages.person import Page, Person

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def phone(app: Flask, ada_at_home: Person, ada: User) -> Person:
    """Ada's telephone, where she is signed in as well."""
    phone = Person(app, **{"User-Agent": IPHONE})
    phone.log_in(ada)
    return phone


def devices_of(page: Page) -> list[str]:
    """The actions of the buttons that sign one device out, in their order."""
    of_one = re.compile(r"/account/devices/[0-9a-f-]{36}")
    return [form.action for form in page.forms if of_one.fullmatch(form.action)]


def is_signed_in(person: Person) -> bool:
    return person.open("/account").path == "/account"


def test_this_device_comes_first_and_is_marked(ada_at_home: Person, phone: Person) -> None:
    page = ada_at_home.open("/account/devices")

    assert len(devices_of(page)) == 2
    assert page.text.count("this device") == 1
    assert page.text.index("this device") < page.text.index("Safari on iPhone")
    assert phone.open("/account/devices").text.index("Safari on iPhone this device")
    assert "127.0.0.1" in page.text


def test_one_device_is_signed_out(ada_at_home: Person, phone: Person) -> None:
    page = ada_at_home.open("/account/devices")

    answer = ada_at_home.send(page, devices_of(page)[1])

    assert ada_at_home.follow(answer).notice == "The device is signed out."
    assert not is_signed_in(phone)
    assert is_signed_in(ada_at_home)
    assert ada_at_home.send(page, devices_of(page)[1]).status == 404


def test_signing_this_device_out_leads_to_the_login(ada_at_home: Person, phone: Person) -> None:
    page = ada_at_home.open("/account/devices")

    answer = ada_at_home.send(page, devices_of(page)[0])

    assert cookies_set(answer.answer)[SESSION]["Max-Age"] == "0"
    left = ada_at_home.follow(answer)
    assert (left.path, left.notice) == ("/account/login", "The device is signed out.")
    assert is_signed_in(phone)


def test_the_device_of_somebody_else_is_not_there(
    app: Flask, ada_at_home: Person, bob: User
) -> None:
    at_bobs = Person(app)
    at_bobs.log_in(bob)
    [his] = devices_of(at_bobs.open("/account/devices"))
    page = ada_at_home.open("/account/devices")
    token = page.forms[0].fields["csrf_token"]

    answer = ada_at_home.ask("POST", his, data={"csrf_token": token})

    assert answer.status_code == 404
    assert is_signed_in(at_bobs)


def test_all_others_are_signed_out_and_those_with_tokens_too(
    ada_at_home: Person, phone: Person, client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]
    page = ada_at_home.open("/account/devices")

    answer = ada_at_home.follow(ada_at_home.send(page, "/account/devices/others"))

    assert answer.notice == "All other devices are signed out."
    assert len(devices_of(answer)) == 1
    assert "/account/devices/others" not in [form.action for form in answer.forms]
    assert not is_signed_in(phone)
    assert me(client, token).status_code == 401


def test_signing_out_everywhere_ends_this_session_too(ada_at_home: Person, phone: Person) -> None:
    page = ada_at_home.open("/account/devices")

    left = ada_at_home.follow(ada_at_home.send(page, "/account/devices/everywhere"))

    assert (left.path, left.notice) == ("/account/login", "You are signed out on all devices.")
    assert not is_signed_in(phone)
    assert not is_signed_in(ada_at_home)


@each(
    ("columns", "words"),
    [
        ({}, "password"),
        ({"aal": 2, "amr": "pwd otp mfa"}, "password and code from an authenticator app"),
        ({"aal": 2, "amr": "pwd rc mfa"}, "password and recovery code"),
        ({"aal": 2, "amr": "pwd pop mfa"}, "password and passkey"),
        ({"aal": 2, "amr": "pwd mfa"}, "password and remembered device"),
        ({"aal": 2, "amr": "pop user mfa", "signed_in_by": "passkey"}, "passkey"),
    ],
)
def test_it_says_with_what_somebody_signed_in(
    app: Flask, ada_at_home: Person, columns: dict[str, str], words: str
) -> None:
    with app.app_context():
        changes = {"signed_in_by": "password", "aal": 1, **columns}
        db.session.execute(sqlalchemy.update(Session).values(**changes))
        db.session.commit()

    assert f"Signed in with {words} Sign out" in ada_at_home.open("/account/devices").text


def test_the_last_use_is_rounded_as_in_the_api(
    app: Flask, ada_at_home: Person, phone: Person
) -> None:
    with app.app_context():
        long_ago = clock.now() - timedelta(days=2)
        db.session.execute(sqlalchemy.update(Session).values(created_at=long_ago))
        db.session.commit()

    page = ada_at_home.open("/account/devices")

    [last_used] = re.findall(r"Last used</dt><dd><time datetime=\"[^\"]*:(\d\d:\d\d)Z", page.html)
    assert last_used in {f"{minute:02}:00" for minute in range(0, 60, 5)}


def test_the_order_tells_no_more_than_the_rounded_times(
    app: Flask, client: FlaskClient, ada: User, ada_at_home: Person
) -> None:
    begun = clock.now().replace(minute=0, second=0, microsecond=0)
    first, later = (claims_of(log_in(client, ada)["access_token"])["sid"] for _ in range(2))
    with app.app_context():
        for sid, age, seen in ((first, 2, 61), (later, 1, 1)):
            session = db.session.get_one(Session, UUID(sid))
            session.created_at = begun - timedelta(hours=age)
            session.refreshed_at = begun + timedelta(seconds=seen)
        db.session.commit()

    _this, *others = devices_of(ada_at_home.open("/account/devices"))

    assert [action.rpartition("/")[2] for action in others] == [later, first]
