"""The page to log in, and the button that signs out."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.access.cookies import TICKET
from app.models import User
from app.pages.sign_in import ticket
from tests.cookies import SESSION, cookies_set, hold, secret_of
from tests.factories import PASSWORD, make_user
from tests.pages.person import Person


def test_a_login_opens_the_account(visitor: Person, ada: User) -> None:
    page = visitor.open("/account")
    assert page.path == "/account/login"

    answer = visitor.send(page, username="ada@example.com", password=PASSWORD)

    assert (answer.status, answer.answer.headers["Location"]) == (303, "/account")
    assert "Max-Age" not in cookies_set(answer.answer)[SESSION]
    home = visitor.follow(answer)
    assert (home.status, home.heading) == (200, "Profile")
    assert "ada@example.com" in home.text


def test_a_browser_that_is_to_stay_signed_in_keeps_the_cookie(visitor: Person, ada: User) -> None:
    page = visitor.open("/account/login")

    answer = visitor.send(page, username="ada", password=PASSWORD, remember="true")

    assert int(cookies_set(answer.answer)[SESSION]["Max-Age"]) > 24 * 60 * 60


def test_a_wrong_password_shows_the_form_again_without_it(visitor: Person, ada: User) -> None:
    page = visitor.open("/account/login?next=/account/password")

    answer = visitor.send(page, username="ada", password="wrong words", remember="true")

    assert answer.status == 422
    assert "Incorrect email or password" in answer.summary
    assert answer.title.startswith("Error: ")
    fields = answer.form().fields
    assert (fields["username"], fields["remember"], fields["password"]) == ("ada", "true", "")
    assert fields["next"] == "/account/password"
    assert "wrong words" not in answer.html
    assert SESSION not in cookies_set(answer.answer)


@pytest.mark.parametrize(
    ("traits", "settings", "sentence"),
    [
        ({"active": False}, {}, "This account is deactivated."),
        ({}, {"require_verified_email": True}, "Confirm your email address first"),
    ],
)
def test_an_account_that_may_not_log_in_is_told_why_after_the_right_password(
    app: Flask,
    visitor: Person,
    set_settings: Callable[..., None],
    traits: dict[str, Any],
    settings: dict[str, Any],
    sentence: str,
) -> None:
    make_user(app, username="bob", email="bob@example.com", **traits)
    set_settings(**settings)
    page = visitor.open("/account/login")

    refused = [visitor.send(page, username="bob", password=one) for one in (PASSWORD, "no")]

    assert [one.status for one in refused] == [422, 422]
    assert sentence in refused[0].summary
    assert sentence not in refused[1].summary


def test_too_many_attempts_are_refused_on_the_page(make_app: Any, ada: User) -> None:
    person = Person(make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="1 per hour"))
    page = person.open("/account/login")
    person.send(page, username="ada", password="no")

    answer = person.send(page, username="ada", password=PASSWORD)

    assert answer.status == 429
    assert int(answer.answer.headers["Retry-After"]) > 3000
    assert "Too many attempts. Try again in 1 hour." in answer.summary
    assert answer.form().fields["username"] == "ada"


def test_wrong_passwords_on_the_page_count_as_those_of_the_api(make_app: Any, ada: User) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN_FAILURES="1 per hour")
    person = Person(app)
    person.send(person.open("/account/login"), username="ada", password="no")

    answer = app.test_client().post(
        "/api/v1/auth/login", json={"username": "ada", "password": PASSWORD}
    )

    assert answer.status_code == 429


def test_somebody_who_is_signed_in_goes_on_at_once(ada_at_home: Person) -> None:
    answer = ada_at_home.ask("GET", "/account/login?next=/account/password")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/account/password")


def test_the_ticket_of_a_second_step_is_in_a_cookie_and_not_in_the_address(
    app: Flask, visitor: Person
) -> None:
    make_user(app, username="bob", email="bob@example.com", second_step_at=clock.now())
    page = visitor.open("/account/login?next=/account/password")

    answer = visitor.send(page, username="bob", password=PASSWORD, remember="true")

    assert answer.status == 303
    location = answer.answer.headers["Location"]
    assert location == "/account/second-step?next=%2Faccount%2Fpassword"
    held = cookies_set(answer.answer)[TICKET]
    assert held["value"].startswith(ticket.REMEMBERED)
    assert {"Secure", "HttpOnly", "SameSite", "Path"} <= held.keys()
    assert 0 < int(held["Max-Age"]) <= 300
    assert SESSION not in cookies_set(answer.answer)


def test_the_button_signs_out_and_the_next_page_says_so(ada_at_home: Person) -> None:
    before = ada_at_home.client.get_cookie(SESSION).value
    page = ada_at_home.open("/account")

    answer = ada_at_home.send(page, "/account/logout")

    shown = ada_at_home.follow(answer)
    assert (shown.path, shown.notice) == ("/account/login", "You are signed out.")
    assert ada_at_home.open("/account/login").notice == ""
    ada_at_home.client.set_cookie(SESSION, before)
    assert ada_at_home.open("/account").path == "/account/login"


def test_the_button_signs_out_somebody_too_who_must_have_a_second_factor(
    make_app: Callable[..., Flask], ada: User
) -> None:
    person = Person(make_app(MFA_REQUIRED="all"))
    person.log_in(ada)
    page = person.open("/account/security")
    secret = secret_of(person.client)

    person.send(page, "/account/logout")

    # What matters is that the session is over, and not that this browser has forgotten it.
    hold(person.client, secret)
    assert person.open("/account/security").path == "/account/login"


def test_nothing_but_a_known_notice_is_shown(visitor: Person) -> None:
    visitor.client.set_cookie("__Host-notice", "Call 0800-FRAUD now")

    assert "FRAUD" not in visitor.open("/account/login").html
