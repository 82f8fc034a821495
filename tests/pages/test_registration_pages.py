"""The pages for people who have no account yet, or cannot get into theirs."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.cases import each
from tests.factories import PASSWORD, log_in, make_user
from tests.mailbox import Mailbox
from tests.pages.person import Person

NEW = {"email": "eve@example.com", "username": "eve", "password": PASSWORD}


def test_somebody_makes_an_account_confirms_the_address_and_logs_in(
    app: Flask, mailbox: Mailbox
) -> None:
    person = Person(app, **{"Accept-Language": "zh"})
    page = person.open("/account/register")

    answer = person.send(page, **NEW, full_name="Eve <b>")

    assert (answer.status, answer.answer.headers["Location"]) == (303, "/account/login")
    shown = person.follow(answer)
    assert shown.notice == "您的账户已创建。我们已发送邮件，请确认您的邮箱地址。"
    assert mailbox.token("verify-email", to="eve@example.com")
    home = person.follow(person.send(shown, username="eve", password=PASSWORD))
    fields = home.form().fields
    assert (fields["full_name"], fields["locale"]) == ("Eve <b>", "zh")


def test_the_rules_are_said_before_anything_is_refused(visitor: Person) -> None:
    page = visitor.open("/account/register")

    assert "3 to 50 letters and digits." in page.text
    assert "At least 8 characters." in page.text


@each(
    ("typed", "errors"),
    [
        ({"email": "ada@example.com"}, {"email": "Email already registered"}),
        ({"username": "ADA"}, {"username": "Username already taken"}),
        ({"username": "a b"}, {"username": None}),
        ({"password": "short", "email": "none"}, {"email": None, "password": None}),
    ],
)
def test_what_is_refused_is_said_beside_its_field(
    visitor: Person, ada: User, typed: dict[str, str], errors: dict[str, str | None]
) -> None:
    answer = visitor.send(visitor.open("/account/register"), **NEW | typed, full_name="Eve")

    assert answer.status == 422
    assert answer.errors.keys() == errors.keys()
    assert all(answer.errors[name] == said for name, said in errors.items() if said)
    fields = answer.form().fields
    assert (fields["full_name"], fields["password"]) == ("Eve", "")
    assert fields["username"] == (NEW | typed)["username"]


def test_in_hiding_a_taken_address_gets_the_answer_of_a_new_one(
    visitor: Person, ada: User, set_settings: Callable[..., None], mailbox: Mailbox
) -> None:
    set_settings(hide_account_existence=True)
    page = visitor.open("/account/register")

    answers = [
        visitor.send(page, email=email, username=name, password=PASSWORD)
        for email, name in ((ada.email, "eve"), ("bob@example.com", "bob"))
    ]

    assert [one.status for one in answers] == [303, 303]
    assert "it says how to go on" in visitor.follow(answers[0]).notice
    assert mailbox.token("reset-password", to=ada.email)
    assert mailbox.token("verify-email", to="bob@example.com")


def test_without_registration_there_is_neither_the_page_nor_a_link_to_it(
    make_app: Callable[..., Flask], visitor: Person
) -> None:
    closed = Person(make_app(PAGES_REGISTRATION="false"))

    assert "/account/register" in visitor.open("/account/login").links
    assert "/account/register" not in closed.open("/account/login").links
    assert [closed.ask(method, "/account/register").status_code for method in ("GET", "POST")] == [
        404,
        404,
    ]


def test_somebody_who_is_signed_in_makes_no_second_account(ada_at_home: Person) -> None:
    assert ada_at_home.open("/account/register").path == "/account"


def test_a_forgotten_password_is_replaced(
    visitor: Person, mailbox: Mailbox, client: FlaskClient, ada: User
) -> None:
    page = visitor.open(
        next(one for one in visitor.open("/account/login").links if "forgot" in one)
    )

    asked = visitor.follow(visitor.send(page, email="ADA@example.com"))
    link = visitor.open("/account/reset-password")
    token = mailbox.token("reset-password", to=ada.email)
    form = visitor.send(link, "/account/reset-password/check", token=token)
    visitor.send(form, new_password="another long password")

    assert asked.notice == "If an account has this address, a mail with a link is on its way."
    assert log_in(client, ada, "another long password")


def test_a_login_that_lacks_a_confirmed_address_offers_the_mail_again(
    app: Flask, visitor: Person, mailbox: Mailbox, set_settings: Callable[..., None]
) -> None:
    make_user(app, username="bob", email="bob@example.com")
    set_settings(require_verified_email=True)
    page = visitor.open("/account/login")

    by_address, by_name, wrong = (
        visitor.send(page, username=name, password=password)
        for name, password in (("bob@example.com", PASSWORD), ("bob", PASSWORD), ("bob", "no"))
    )
    sent = visitor.send(by_address, "/account/verify-email/new-link")

    resend = "/account/verify-email/new-link"
    assert by_address.form(resend).fields["email"] == "bob@example.com"
    assert by_name.form(resend).fields["email"] == ""
    assert resend not in [form.action for form in wrong.forms]
    assert visitor.follow(sent).path == "/account/login"
    assert mailbox.token("verify-email", to="bob@example.com")


@each(
    ("path", "setting", "typed"),
    [
        ("/account/register", "RATELIMIT_REGISTER", NEW),
        ("/account/forgot", "RATELIMIT_MAIL", {"email": "eve@example.com"}),
        ("/account/forgot", "RATELIMIT_MAIL_PER_ADDRESS", {"email": "eve@example.com"}),
        ("/account/verify-email/new-link", "RATELIMIT_MAIL", {"email": "eve@example.com"}),
    ],
)
def test_too_many_are_refused_with_the_page(
    make_app: Callable[..., Any], path: str, setting: str, typed: dict[str, str]
) -> None:
    person = Person(make_app(RATELIMIT_ENABLED="true", **{setting: "1 per hour"}))
    page = person.open(path)
    person.send(page, **typed)

    answer = person.send(page, **typed)

    assert answer.status == 429
    assert int(answer.answer.headers["Retry-After"]) > 3000
    assert "Too many attempts. Try again in 1 hour." in answer.summary
    assert answer.form().fields["email"] == typed["email"]
