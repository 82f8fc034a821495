"""The page of the activity."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale

from app import OPTIONAL, audit
from app.audit import vocabulary
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, User
from app.pages.account import event_sentences
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in
from tests.pages.person import Person

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
BY_ADA, BY_GRACE, BY_NOBODY = 1, 2, None


def event(
    name: str, actor: int | None = BY_ADA, user_agent: str | None = FIREFOX, **details: Any
) -> AuditEvent:
    """Something that happened to Ada."""
    return AuditEvent(
        event=name,
        subject_id=BY_ADA,
        actor_id=actor,
        ip="203.0.113.7",
        user_agent=user_agent,
        details=details,
    )


def sentence(app: Flask, happened: AuditEvent, locale: str = "en") -> str:
    with app.test_request_context(), force_locale(locale):
        return event_sentences.sentence_of(happened)


# Sentences


def test_every_event_that_a_person_can_see_has_a_sentence() -> None:
    said = {Event(name) for name in event_sentences.SENTENCES}

    assert said | event_sentences.NEVER_SHOWN == set(Event)
    assert not said & event_sentences.NEVER_SHOWN
    of_features = [event for feature in OPTIONAL for event in feature.events]
    assert of_features
    assert [event.value for event in of_features if not event.description] == []


@each(
    ("happened", "en", "zh"),
    [
        (
            event("password_changed"),
            "You changed your password from 203.0.113.7 with Firefox on Linux.",
            "您从 203.0.113.7 通过 Linux 上的 Firefox 更改了密码。",
        ),
        (
            event("login_succeeded", is_new_device=True),
            "You logged in on a new device from 203.0.113.7 with Firefox on Linux.",
            "您在新设备上从 203.0.113.7 通过 Linux 上的 Firefox 登录了账户。",
        ),
        (
            event("login_failed", BY_NOBODY, reason="wrong_password"),
            "A wrong password was given from 203.0.113.7 with Firefox on Linux.",
            "有人从 203.0.113.7 通过 Linux 上的 Firefox 输入了错误的密码。",
        ),
        (
            event("logged_out", scope="global"),
            "You signed out all devices from 203.0.113.7 with Firefox on Linux.",
            "您从 203.0.113.7 通过 Linux 上的 Firefox 使所有设备退出了登录。",
        ),
        (
            event("user_updated", BY_GRACE, fields=["full_name", "bio"]),
            "An administrator changed your profile: Full name and About you.",
            "管理员更改了您的个人资料：姓名和关于您。",
        ),
        (
            event("roles_changed", BY_GRACE, roles={"from": [], "to": []}),
            "Your roles were changed. Now they are: none.",
            "您的角色已更改。现在的角色：无。",
        ),
        (
            event("factor_added", method="totp"),
            "You added a second factor from 203.0.113.7 with Firefox on Linux.",
            "您从 203.0.113.7 通过 Linux 上的 Firefox 添加了第二验证方式。",
        ),
        (
            event("factors_reset", BY_GRACE),
            "Your second factors were removed.",
            "您的第二验证方式已移除。",
        ),
        (
            event("email_change_asked", email={"to": "b@example.com"}, user_agent=None),
            "You asked to change your email address to b@example.com from 203.0.113.7.",
            "您从 203.0.113.7 申请将邮箱地址更改为 b@example.com。",
        ),
        (
            event("acme_invoice_paid"),
            "This happened: acme invoice paid.",
            "发生了：acme invoice paid。",
        ),
    ],
)
def test_a_sentence_says_what_happened_and_from_where(
    app: Flask, happened: AuditEvent, en: str, zh: str
) -> None:
    assert sentence(app, happened) == en
    assert sentence(app, happened, "zh") == zh


def test_every_sentence_can_be_said_without_details(app: Flask) -> None:
    known = [*event_sentences.SENTENCES, *vocabulary.declared()]
    for name in known:
        for actor in (BY_ADA, BY_GRACE, BY_NOBODY):
            for locale in ("en", "zh"):
                assert "%" not in sentence(app, event(str(name), actor), locale)


def test_where_an_administrator_was_is_not_told(app: Flask) -> None:
    for name in (*event_sentences.SENTENCES, *vocabulary.declared()):
        said = sentence(app, event(str(name), BY_GRACE))
        assert "203.0.113.7" not in said, name
        assert "Firefox" not in said, name


# The page


def test_the_newest_comes_first_and_alarming_events_are_marked(
    ada_at_home: Person, client: FlaskClient, ada: User
) -> None:
    client.post(f"{API}/auth/login", json={"username": "ada", "password": "wrong"})

    text = ada_at_home.open("/account/activity").text

    wrong, login = text.index("A wrong password was given"), text.index("You logged in")
    assert wrong < text.index("look at this") < login
    assert "with Werkzeug" in text


def test_only_what_happened_to_oneself_is_shown(
    ada_at_home: Person, client: FlaskClient, bob: User
) -> None:
    client.post(f"{API}/auth/login", json={"username": "bob", "password": "wrong"})

    assert "wrong password" not in ada_at_home.open("/account/activity").text


@pytest.fixture
def long_history(app: Flask, ada_at_home: Person, ada: User) -> Person:
    with app.app_context():
        for number in range(45):
            audit.record(
                Event.ROLES_CHANGED, subject_id=ada.id, roles={"from": [], "to": [f"r{number}."]}
            )
        db.session.commit()
    return ada_at_home


def test_older_events_are_on_the_next_pages(long_history: Person) -> None:
    page = long_history.open("/account/activity")
    assert "Newest" not in page.text
    seen = [page.text]

    while older := [link for link in page.links if "cursor=" in link]:
        page = long_history.open(older[0])
        seen.append(page.text)

    assert len(seen) == 3
    assert all("Newest" in text for text in seen[1:])
    together = " ".join(seen)
    assert [number for number in range(45) if together.count(f" r{number}.") != 1] == []


@each("cursor", ["x", "", "eyJ4IjoxfQ.abc", "%00", "'", "1" * 3000])
def test_a_cursor_of_nobody_is_a_page_and_no_fault(ada_at_home: Person, cursor: str) -> None:
    answer = ada_at_home.ask("GET", f"/account/activity?cursor={cursor}")

    assert answer.status_code == 422
    assert answer.mimetype == "text/html"


def test_the_cursor_of_somebody_else_does_not_work(
    long_history: Person, app: Flask, bob: User
) -> None:
    [older] = [link for link in long_history.open("/account/activity").links if "cursor=" in link]
    at_bobs = Person(app)
    at_bobs.log_in(bob)

    assert at_bobs.ask("GET", older).status_code == 422


def test_an_act_of_an_administrator_is_told_without_a_place(
    ada_at_home: Person, client: FlaskClient, grace: User, ada: User
) -> None:
    token = log_in(client, grace, PASSWORD)["access_token"]
    change = {"full_name": "Ada Lovelace"}
    answer = client.patch(f"{API}/users/{ada.id}", json=change, headers=bearer(token))
    assert answer.status_code == 200

    text = ada_at_home.open("/account/activity").text

    assert "An administrator changed your profile: Full name." in text
