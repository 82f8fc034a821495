"""The administration pages of mails: the lists, the text without its links, and two buttons."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock
from app.audit.vocabulary import Event
from app.auth.password.reset import reset_asked
from app.extensions import db
from app.mail import messages, wordings
from app.mail.content import Content, link
from app.mail.previewing import NoText, Preview, preview
from app.models import AuditEvent, OutboxMessage, User
from app.pages.admin import mail_kinds
from tests.factories import make_user
from tests.mail.letters import arguments_of, deliver, queue, rows
from tests.mail.test_messages import CONTEXT, MESSAGES
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person, signed_in

PATH = "/admin/mail"
TOKEN = "a-token-that-nobody-may-see"
MINUTES = {"minutes": 30}


def press(person: Person, path: str) -> Page:
    token = person.open("/account").forms[0].fields["csrf_token"]
    return Page(person.ask("POST", path, data={"csrf_token": token}))


def set_aside(app: Flask, number: int, reason: str = "550 no such user") -> None:
    with app.app_context():
        mail = update(OutboxMessage).where(OutboxMessage.id == number)
        db.session.execute(mail.values(set_aside_at=clock.now(), last_error=reason, attempts=3))
        db.session.commit()


def listed(page: Page) -> list[int]:
    """The numbers of the mails in the list."""
    beginning = f"{PATH}/"
    return [int(each.removeprefix(beginning)) for each in page.links if each.startswith(beginning)]


def events(app: Flask) -> list[AuditEvent]:
    mine = (Event.MAIL_RETRIED, Event.MAIL_DROPPED)
    with app.app_context():
        return list(db.session.scalars(select(AuditEvent).where(AuditEvent.event.in_(mine))))


def test_deleting_needs_a_recent_login(
    app: Flask, grace: User, set_settings: Callable[..., None]
) -> None:
    person = signed_in(app, grace)
    number = queue(app)
    set_settings(fresh_token_lifetime=timedelta(0))

    answer = press(person, f"{PATH}/{number}/drop").answer

    assert answer.location == f"/account/reauthenticate?next=%2Fadmin%2Fmail%2F{number}"
    assert len(rows(app)) == 1


def test_each_list_has_its_mails_and_leads_to_the_person(
    app: Flask, ada: User, grace_at_home: Person, mailbox: Mailbox
) -> None:
    delivered = queue(app, to="delivered@example.com")
    deliver(app)
    waiting = queue(app, messages.password_reset, to=ada.email, user=ada, token=TOKEN, **MINUTES)
    failed = queue(app, to="failed@example.com")
    set_aside(app, failed)

    pages = {
        state: grace_at_home.open(f"{PATH}?state={state}")
        for state in ("waiting", "set_aside", "delivered")
    }

    assert {state: listed(page) for state, page in pages.items()} == {
        "waiting": [waiting],
        "set_aside": [failed],
        "delivered": [delivered],
    }
    assert f"/admin/users/{ada.id}" in pages["waiting"].links
    assert "550 no such user" in pages["set_aside"].text
    assert grace_at_home.open(PATH).text == pages["waiting"].text
    for query in ("state=lost", "cursor=nonsense", "unknown=1"):
        assert grace_at_home.open(f"{PATH}?{query}").status == 422, query


@pytest.mark.parametrize("state", ["waiting", "set_aside", "delivered"])
def test_pages_of_mails_follow_each_other(
    app: Flask, grace_at_home: Person, mailbox: Mailbox, state: str
) -> None:
    numbers = [queue(app, to=f"{name}@example.com") for name in "abcde"]
    if state == "delivered":
        deliver(app)
    for number in numbers if state == "set_aside" else ():
        set_aside(app, number)

    found = []
    path = f"{PATH}?state={state}&limit=2"
    for _ in range(3):
        page = grace_at_home.open(path)
        found += listed(page)
        path = next((each for each in page.links if "cursor=" in each), "")

    assert sorted(found) == numbers
    assert found == numbers if state == "waiting" else found == numbers[::-1]


# The text


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_no_text_of_a_mail_shows_its_token_or_its_link(
    app: Flask, message: Callable[..., Content]
) -> None:
    context = {name: CONTEXT[name] for name in arguments_of(message)} | (
        {"token": TOKEN} if "token" in arguments_of(message) else {}
    )
    queue(app, message, **context)

    [row] = rows(app)
    with app.test_request_context():
        shown = preview(row)

    assert isinstance(shown, Preview)
    assert len(shown.text) > 100
    assert TOKEN not in f"{shown.subject}{shown.text}"
    assert "token=" not in shown.text
    assert "/account/" not in shown.text


def test_the_page_shows_no_token_wherever_a_feature_puts_it(
    app: Flask, grace_at_home: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(*, code: str, number: int, codes: list[int], way: str) -> Content:
        """Nobody knows which of these are secret."""
        return Content(
            f"Your code is {code}",
            (f"Or open {way} now.", f"Or type {number:06d}.", f"Or keep {codes}."),
            "Open",
            f"https://app.example.com/in/{code}?code={code}",
            facts=(("Code", code), ("Link", link("somewhere", code))),
            preheader=code,
        )

    monkeypatch.setitem(wordings._messages, "careless", careless)
    monkeypatch.setitem(wordings._names, careless, "careless")
    secrets = {"code": TOKEN, "number": 402917, "codes": [402917], "way": f"myapp://in/{TOKEN}"}
    number = queue(app, careless, **secrets)

    page = grace_at_home.open(f"{PATH}/{number}")

    assert "Or type 000000." in page.text
    assert "402917" not in page.lasting_html
    assert "https://app.example.com/…" in page.text
    assert TOKEN not in page.html
    assert "app.example.com/in" not in page.html


def test_a_text_that_cannot_be_shown_is_explained(
    app: Flask, ada: User, mailbox: Mailbox, set_settings: Callable[..., None]
) -> None:
    def why(number: int) -> Any:
        [row] = [row for row in rows(app) if row.id == number]
        with app.test_request_context():
            return preview(row)

    delivered = queue(app)
    deliver(app)
    asked = queue(app, reset_asked, to=ada.email, ip="", user_agent="", request_id="")
    sealed = queue(app, messages.password_reset, token=TOKEN, **MINUTES)
    older = queue(app, messages.password_reset, token=TOKEN, words="of another release")

    assert why(delivered) is NoText.DELIVERED
    # Showing a request must not answer it: the answer makes a link.
    assert why(asked) is NoText.UNDECIDED
    assert why(older) is NoText.NOT_WRITTEN
    set_settings(secret_key="another secret: 0123456789 abcdefghijkl")
    assert why(sealed) is NoText.NOT_OPENED


def test_what_strangers_write_into_a_mail_stays_text(
    app: Flask, ada: User, grace_at_home: Person
) -> None:
    given = {"token": TOKEN, "when": "now", "ip": "192.0.2.1"}
    device = "<script>alert(1)</script>"
    number = queue(app, messages.new_device, user=ada, device=device, **given)
    set_aside(app, number, "550 <img src=x onerror=alert(1)>")

    page = grace_at_home.open(f"{PATH}/{number}")

    assert device in page.text
    assert "<script>alert" not in page.html
    assert "<img" not in page.html


# The buttons


def test_a_mail_is_tried_again(
    app: Flask, ada: User, grace: User, grace_at_home: Person, mailbox: Mailbox
) -> None:
    number = queue(app, messages.password_reset, user=ada, token=TOKEN, **MINUTES)
    set_aside(app, number)

    answer = grace_at_home.send(grace_at_home.open(f"{PATH}/{number}"), f"{PATH}/{number}/retry")

    assert grace_at_home.follow(answer).notice == "The mail will be tried again in a moment."
    assert [mail.token for mail in mailbox.deliver()] == [TOKEN]
    assert [(one.event, one.subject_id, one.actor_id) for one in events(app)] == [
        (Event.MAIL_RETRIED, ada.id, grace.id)
    ]
    again = press(grace_at_home, f"{PATH}/{number}/retry")
    assert grace_at_home.follow(again).notice == "The mail was delivered already."
    assert len(events(app)) == 1
    assert mailbox.deliver() == []


def test_a_mail_is_deleted_and_that_is_on_record(
    app: Flask, ada: User, grace: User, grace_at_home: Person
) -> None:
    number = queue(app, messages.password_reset, user=ada, token=TOKEN, **MINUTES)
    path = f"{PATH}/{number}/drop"

    answer = grace_at_home.send(grace_at_home.open(f"{PATH}/{number}"), path)

    assert "is deleted" in grace_at_home.follow(answer).notice
    assert rows(app) == []
    [event] = events(app)
    assert (event.event, event.subject_id, event.actor_id) == (
        *(Event.MAIL_DROPPED, ada.id),
        grace.id,
    )
    assert event.details == {"mail": "password_reset", "state": "waiting"}
    assert press(grace_at_home, path).status == 404


def test_who_was_a_superuser_a_moment_ago_changes_nothing(
    app: Flask, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(app, username="other", email="other@example.com", superuser=True)
    person = signed_in(app, grace)
    number = queue(app)
    # The guard has seen a superuser, and meanwhile somebody demotes her.
    monkeypatch.setattr("app.access.guards._refuse_all_but_superusers", lambda: None)
    with app.app_context():
        db.session.execute(update(User).where(User.id == grace.id).values(is_superuser=False))
        db.session.commit()

    assert press(person, f"{PATH}/{number}/drop").status == 403
    assert press(person, f"{PATH}/{number}/retry").status == 403
    assert len(rows(app)) == 1


def test_a_kind_of_mail_is_called_by_the_subject_of_its_mails(app: Flask) -> None:
    with app.test_request_context():
        subjects = {
            wordings.name_of(wording): wording(
                **{name: CONTEXT[name] for name in arguments_of(wording)}
            ).subject
            for wording in MESSAGES
        }
        said = {kind: mail_kinds.subject_of(kind) for kind in mail_kinds.SUBJECTS}

    assert said == {kind: subjects[kind] for kind in mail_kinds.SUBJECTS}


def test_the_list_names_the_kind_in_words_beside_its_identifier(app: Flask, grace: User) -> None:
    queue(app, messages.address_in_use)

    page = signed_in(app, grace).open(PATH)

    assert "Your email address is in use already <code>address_in_use</code>" in page.html
