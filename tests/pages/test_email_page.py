"""The page of the email address."""

from datetime import timedelta

import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.extensions import db
from app.models import User
from tests.factories import API, PASSWORD
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person

NEW = "ada@example.org"


def ask(person: Person, new_email: str = NEW) -> Page:
    return person.send(person.open("/account/email"), new_email=new_email)


def test_a_change_waits_until_the_link_is_used(
    ada_at_home: Person, client: FlaskClient, mailbox: Mailbox
) -> None:
    answer = ask(ada_at_home)

    asked = ada_at_home.follow(answer)
    assert asked.notice.startswith("Look into the mailbox of the new address.")
    assert f"We sent a link to {NEW}." in asked.text
    assert "ada@example.com confirmed" in asked.text
    token = mailbox.token("confirm-email")
    client.post(f"{API}/auth/email/change/confirm", json={"token": token})
    changed = ada_at_home.open("/account/email")
    assert f"{NEW} confirmed" in changed.text
    assert "A change is waiting" not in changed.text


def test_a_change_that_is_stopped_no_longer_waits_and_its_link_is_dead(
    ada_at_home: Person, client: FlaskClient, mailbox: Mailbox
) -> None:
    asked = ada_at_home.follow(ask(ada_at_home))
    token = mailbox.token("confirm-email")

    stopped = ada_at_home.follow(ada_at_home.send(asked, "/account/email/cancel"))

    assert stopped.notice == "Your email address stays as it is."
    assert NEW not in stopped.text
    answer = client.post(f"{API}/auth/email/change/confirm", json={"token": token})
    assert answer.status_code == 400
    assert "You stopped the change" in ada_at_home.open("/account/activity").text


def test_stopping_what_does_not_wait_is_no_event(ada_at_home: Person) -> None:
    asked = ada_at_home.follow(ask(ada_at_home))
    for _ in range(2):
        assert ada_at_home.send(asked, "/account/email/cancel").status == 303

    assert ada_at_home.open("/account/activity").text.count("You stopped the change") == 1


def test_an_address_that_cannot_be_one_is_refused_beside_its_field(ada_at_home: Person) -> None:
    answer = ask(ada_at_home, "not an address")

    assert (answer.status, answer.errors.keys()) == (422, {"new_email"})
    assert answer.form().fields["new_email"] == "not an address"


def test_a_taken_address_gets_the_same_answer(ada_at_home: Person, bob: User) -> None:
    answer = ada_at_home.follow(ask(ada_at_home, bob.email))

    assert answer.notice.startswith("Look into the mailbox of the new address.")
    assert f"We sent a link to {bob.email}." in answer.text


def test_a_login_that_is_not_recent_is_confirmed_first(ada_at_home: Person) -> None:
    page = ada_at_home.open("/account/email")

    with time_machine.travel(clock.now() + timedelta(hours=1)):
        later = ada_at_home.open("/account/email")
        answer = ada_at_home.send(page, new_email=NEW)
        asked = ada_at_home.follow(answer)
        back = ada_at_home.follow(ada_at_home.send(asked, password=PASSWORD))

    way = "/account/reauthenticate?next=/account/email"
    assert way in later.links
    assert "new_email" not in later.html
    assert answer.status == 303
    assert asked.path == "/account/reauthenticate"
    assert back.path == "/account/email"
    assert back.form().fields["new_email"] == ""
    assert "A change is waiting" not in back.text


def test_the_link_that_confirms_the_address_is_sent_again(
    app: Flask, ada_at_home: Person, ada: User, mailbox: Mailbox
) -> None:
    with app.app_context():
        db.session.execute(sqlalchemy.update(User).values(email_verified=False))
        db.session.commit()
    for path in ("/account", "/account/email"):
        page = ada_at_home.open(path)
        assert "not confirmed yet" in page.text

        sent = ada_at_home.follow(ada_at_home.send(page, "/account/email/resend"))

        assert sent.notice.startswith("Look into your mailbox.")
        assert [mail.page for mail in mailbox.deliver() if mail.to == ada.email] == ["verify-email"]


def test_a_confirmed_address_has_no_button_for_another_link(ada_at_home: Person) -> None:
    for path in ("/account", "/account/email"):
        page = ada_at_home.open(path)
        assert "/account/email/resend" not in [form.action for form in page.forms]
