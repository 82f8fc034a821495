"""What a stranger sends stays text: in addresses, in forms, in cookies and in headers."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from flask import Flask

from app.models import User
from tests.pages.person import Page, Person
from tests.pages.scenes.visit import Visit
from tests.pages.test_payloads import HARMLESS, PAYLOADS, Skeleton

pytestmark = pytest.mark.postgresql

# A form for everybody, and the fields that get the text.
FORMS = (
    ("/account/login", ("username", "password", "next")),
    ("/account/login/passkey", ("ceremony", "credential", "next")),
    ("/account/register", ("email", "username", "password", "full_name")),
    ("/account/forgot", ("email",)),
    ("/account/verify-email/new-link", ("email",)),
    ("/account/verify-email/check", ("token",)),
    ("/account/reset-password", ("token", "new_password")),
    ("/account/language", ("locale", "next")),
)
COOKIES = ("locale", "__Host-notice", "__Host-ticket", "__Host-session", "__Host-form")


@pytest.fixture
def half_way(app: Flask, ada: User) -> Person:
    """Ada has given her password, and now has to give a code."""
    Visit(app).phone(ada)
    person = Person(app)
    assert person.log_in(ada).path == "/account/second-step"
    return person


def answers_to(text: str, visitor: Person, half_way: Person, bob: Person) -> Iterator[Page]:
    quoted = quote(text, safe="")
    yield Page(visitor.ask("GET", f"/account/{quoted}?{quoted}={quoted}"))
    for person, path in (
        (visitor, "/account/login"),
        (half_way, "/account/second-step"),
        (bob, "/account/reauthenticate"),
    ):
        page = person.open(f"{path}?next=/{quoted}&use={quoted}", **{"User-Agent": text})
        yield page
        fields = page.form().fields
        typed = {name: text for name in page.form().names if name not in ("csrf_token", "next")}
        yield Page(person.ask("POST", path, data=fields | typed))
    token = visitor.open("/account/login").form().fields["csrf_token"]
    for path, names in FORMS:
        data = dict.fromkeys(names, text) | {"csrf_token": token}
        answer = Page(visitor.ask("POST", path, data=data))
        yield visitor.follow(answer) if answer.status == 303 else answer
    stranger = Person(visitor.client.application)
    for name in COOKIES:
        stranger.client.set_cookie(name, quoted)
    yield stranger.open("/account/login")


def named(skeleton: Skeleton) -> set[tuple[str, str]]:
    """Each element with each of its attributes."""
    return {(tag, name) for tag, names in skeleton.parts for name in names or ("",)}


def test_what_a_stranger_sends_stays_text(
    app: Flask, visitor: Person, half_way: Person, bob: User
) -> None:
    signed_in = Person(app)
    signed_in.log_in(bob)
    known = set()
    for page in answers_to(HARMLESS, visitor, half_way, signed_in):
        known |= named(Skeleton(page.html))
    wrong = []

    for payload in PAYLOADS:
        for page in answers_to(payload, visitor, half_way, signed_in):
            found = Skeleton(page.html)
            away = [link for link in found.leads_to if not re.match(r"#|/(?!/)", link)]
            new = named(found) - known
            if page.status >= 500 or new or found.comments or away:
                wrong.append((payload, page.path, page.status, new, away))

    assert wrong == []
