"""The page of the second step, and the one that asks a signed-in person again."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.access.cookies import TICKET
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import Phone, enrol
from tests.cookies import SESSION, cookies_set, secret_of
from tests.factories import PASSWORD
from tests.pages.person import Page, Person

GOAL = "/account/password"


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    """Ada's authenticator app. Her second step is on."""
    return enrol(client, ada)


def give_password(person: Person, goal: str = GOAL, **typed: Any) -> Page:
    """Log in with the right password, and follow to the second step."""
    page = person.open(f"/account/login?next={goal}")
    shown = person.follow(person.send(page, username="ada", password=PASSWORD, **typed))
    assert (shown.status, shown.path) == (200, "/account/second-step")
    return shown


# The second step


def test_a_code_finishes_the_login_and_leads_on(visitor: Person, phone: Phone) -> None:
    page = give_password(visitor, remember="true")

    answer = visitor.send(page, otp=phone.code())

    assert (answer.status, answer.answer.headers["Location"]) == (303, GOAL)
    cookies = cookies_set(answer.answer)
    assert "Max-Age" in cookies[SESSION]
    assert cookies[TICKET]["Max-Age"] == "0"
    assert visitor.follow(answer).heading == "Password"


def test_a_recovery_code_does_it_too(visitor: Person, phone: Phone) -> None:
    page = give_password(visitor)
    [other] = [link for link in page.links if "use=recovery_code" in link]

    asked = visitor.open(other)
    wrong = visitor.send(asked, recovery_code="0000-0000-0000-0000")
    answer = visitor.send(wrong, recovery_code=phone.recovery_codes[0].upper())

    assert (page.form().names.count("otp"), "recovery_code" in page.form().names) == (1, False)
    assert wrong.errors == {"recovery_code": "This code is wrong. Tries left: 4."}
    assert answer.answer.headers["Location"] == GOAL


def test_a_wrong_code_says_how_many_tries_are_left_and_the_last_one_leads_back(
    visitor: Person, phone: Phone
) -> None:
    page = give_password(visitor)

    for left in (4, 3, 2, 1):
        page = visitor.send(page, otp="000000")
        assert (page.status, page.errors) == (
            422,
            {"otp": f"This code is wrong. Tries left: {left}."},
        )
        assert (page.status, page.form().fields["otp"]) == (422, "")
    last = visitor.send(page, otp="000000")

    assert last.answer.headers["Location"] == "/account/login?next=%2Faccount%2Fpassword"
    shown = visitor.follow(last)
    assert shown.notice.startswith("You tried too many wrong codes.")
    assert shown.form().fields["next"] == GOAL
    assert secret_of(visitor.client, TICKET) == ""


def test_a_malformed_code_costs_no_try(visitor: Person, phone: Phone) -> None:
    page = give_password(visitor)

    malformed = [visitor.send(page, otp=text) for text in ("12345", "")]
    wrong = visitor.send(page, otp="000000")

    assert [one.status for one in malformed] == [422, 422]
    assert malformed[0].errors == {"otp": "Must be six digits."}
    assert wrong.errors == {"otp": "This code is wrong. Tries left: 4."}


def test_a_dead_ticket_leads_back_to_the_login_with_a_sentence(
    visitor: Person, app: Flask, phone: Phone
) -> None:
    page = give_password(visitor)
    stolen = secret_of(visitor.client, TICKET)
    code = phone.code()

    with time_machine.travel(clock.now() + timedelta(minutes=6)):
        late = [visitor.send(page, otp=code), Person(app).ask("GET", "/account/second-step")]
        visitor.client.set_cookie(TICKET, stolen)
        late.append(visitor.ask("GET", f"/account/second-step?next={GOAL}"))

    assert [one.status if isinstance(one, Page) else one.status_code for one in late] == [303] * 3
    again = visitor.follow(late[0])
    assert again.notice == "This login cannot be continued. Log in again."
    assert 'class="refusal" role="status"' in again.html
    assert SESSION not in cookies_set(late[0].answer)


def test_a_device_is_remembered_if_that_is_asked_for(
    visitor: Person, app: Flask, phone: Phone
) -> None:
    page = give_password(visitor)
    assert "For 30 days." in page.text

    visitor.send(page, otp=phone.code(), remember_device="true")

    with app.app_context():
        assert len(db.session.scalars(db.select(RememberedDevice)).all()) == 1


def test_devices_that_are_not_remembered_are_not_offered(make_app: Any, phone: Phone) -> None:
    person = Person(make_app(REMEMBER_DEVICE_DAYS="0"))

    assert "remember_device" not in give_password(person).form().names


def test_too_many_codes_are_refused_on_the_page(make_app: Any, phone: Phone) -> None:
    person = Person(make_app(RATELIMIT_ENABLED="true", RATELIMIT_FACTOR="1 per hour"))
    page = give_password(person)
    person.send(page, otp="000000")

    answer = person.send(page, otp=phone.code())

    assert answer.status == 429
    assert int(answer.answer.headers["Retry-After"]) > 1
    assert "Too many attempts." in answer.summary


# Proving it again


def make_stale(app: Flask, user: User) -> None:
    """Let the last proof of all sessions of the user be old."""
    with app.app_context():
        db.session.execute(
            db.text("UPDATE sessions SET authenticated_at = NULL WHERE user_id = :user"),
            {"user": user.id},
        )
        db.session.commit()


def test_a_password_makes_the_session_fresh_and_opens_what_was_asked_for(
    ada_at_home: Person, ada: User, app: Flask
) -> None:
    make_stale(app, ada)
    before = secret_of(ada_at_home.client)
    page = ada_at_home.open(f"/account/reauthenticate?next={GOAL}")

    wrong = ada_at_home.send(page, password="wrong words")
    answer = ada_at_home.send(wrong, password=PASSWORD)

    assert "otp" not in page.form().names
    assert "ada" in page.text
    assert (wrong.status, wrong.errors) == (422, {"password": "Incorrect password"})
    assert "wrong words" not in wrong.html
    assert (answer.status, answer.answer.headers["Location"]) == (303, GOAL)
    assert secret_of(ada_at_home.client) != before
    with app.app_context():
        [fresh] = db.session.execute(db.text("SELECT authenticated_at FROM sessions")).all()
        assert fresh[0] is not None


def test_where_the_second_step_is_on_a_code_is_asked_for(
    visitor: Person, phone: Phone, ada: User, app: Flask
) -> None:
    home = visitor.send(give_password(visitor), otp=phone.code())
    make_stale(app, ada)
    page = visitor.open(f"/account/reauthenticate?next={GOAL}")

    wrong = visitor.send(page, otp="000000")
    asked = visitor.open("/account/reauthenticate?use=recovery_code")
    answer = visitor.send(asked, recovery_code=phone.recovery_codes[1])

    assert home.status == 303
    assert page.form().names.count("otp") == 1
    assert "password" not in page.form().names
    assert wrong.errors == {"otp": "This code is wrong."}
    assert answer.answer.headers["Location"] == "/account"


def test_a_password_is_not_enough_where_the_second_step_is_on(
    visitor: Person, phone: Phone
) -> None:
    visitor.send(give_password(visitor), otp=phone.code())
    page = visitor.open("/account/reauthenticate")
    data = page.form().fields | {"password": PASSWORD}
    data.pop("otp")

    answer = Page(visitor.ask("POST", "/account/reauthenticate", data=data))

    assert answer.status == 422
    assert "A second factor is required" in answer.summary


def test_nobody_is_asked_again_who_is_not_signed_in(visitor: Person) -> None:
    assert visitor.open("/account/reauthenticate").path == "/account/login"
