"""Passkeys on pages. The test answers for the script and the browser."""

import json
from collections.abc import Callable
from html import unescape
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models import User
from tests.auth.passkeys.authenticator import Authenticator, to_text
from tests.auth.passkeys.browser import with_passkey
from tests.cases import each
from tests.factories import API, PASSWORD, bearer
from tests.pages.person import SITE, Page, Person
from tests.pages.test_second_step_page import make_stale
from tests.pages.test_security_page import A_CODE, SECURITY

LOGIN = "/account/login/passkey"
NEW = f"{SECURITY}/passkeys/new"
REFUSED = "This passkey does not work here. Log in in another way."


def begin(person: Person, path: str) -> Any:
    """What the script asks the API for, with the cookies of the page."""
    answer = person.client.post(f"{API}/auth/{path}", json={}, base_url=SITE)
    assert answer.status_code == 200, answer.text
    return answer.json


def add(person: Person, key: Authenticator, name: str = "Laptop") -> Page:
    page = person.open(NEW)
    begun = begin(person, "passkeys/options")
    credential = json.dumps(key.create(begun["options"]))
    return person.send(page, NEW, ceremony=begun["ceremony"], credential=credential, name=name)


def log_in(person: Person, key: Authenticator, path: str = "/account/login", **typed: Any) -> Page:
    page = person.open(path)
    begun = begin(person, "passkeys/login-options")
    credential = json.dumps(key.get(begun["options"]))
    return person.send(page, LOGIN, ceremony=begun["ceremony"], credential=credential, **typed)


def signal(page: Page, name: str) -> Any:
    """What the page lets the browser tell password managers."""
    _, found, rest = page.html.partition(f'data-signal="{name}" data-value="')
    return json.loads(unescape(rest.partition('"')[0])) if found else None


def test_a_passkey_is_added_renamed_and_removed(ada_at_home: Person) -> None:
    key = Authenticator()
    assert NEW in ada_at_home.open(SECURITY).links
    first = add(ada_at_home, key)
    second = add(ada_at_home, Authenticator(), name="Phone <b>")
    shown = ada_at_home.follow(second)
    [path, _] = [link for link in shown.links if f"{SECURITY}/passkeys/" in link and link != NEW]

    one = ada_at_home.open(path)
    renamed = ada_at_home.follow(ada_at_home.send(one, name="Desk"))
    removed = ada_at_home.follow(ada_at_home.send(one, f"{path}/remove"))

    assert (first.heading, first.notice) == ("Your recovery codes", "Your passkey is added.")
    assert len(A_CODE.findall(first.html)) == 10
    assert shown.notice == "Your passkey is added."
    assert "Phone <b>" in shown.text
    assert one.form().fields["name"] == "Laptop"
    assert renamed.notice == "Your passkey has its new name."
    assert "Desk" in renamed.text
    assert removed.notice == "Your passkey is removed."
    assert "Desk" not in removed.text
    accepted = [signal(page, "signalAllAcceptedCredentials") for page in (shown, removed)]
    ids = [one["allAcceptedCredentialIds"] for one in accepted]
    assert (len(ids[0]), len(ids[1])) == (2, 1)
    assert to_text(key.credential_id) not in ids[1]


def test_what_the_browser_did_not_make_is_refused(ada_at_home: Person) -> None:
    page = ada_at_home.open(NEW)
    ceremony = begin(ada_at_home, "passkeys/options")["ceremony"]

    for credential in ("", "{}", "[]", "no JSON", '{"id": "\\ud800"}', "9" * 5000):
        answer = ada_at_home.send(page, NEW, ceremony=ceremony, credential=credential, name="x")
        assert (answer.status, answer.heading) == (422, "Add a passkey"), credential
        assert "Passkey" in answer.summary
        assert answer.form(NEW).fields["name"] == "x"


def test_the_passkey_of_somebody_else_is_not_there(
    ada_at_home: Person, app: Flask, bob: User
) -> None:
    add(ada_at_home, Authenticator())
    page = ada_at_home.open(SECURITY)
    [path] = [link for link in page.links if f"{SECURITY}/passkeys/" in link and link != NEW]
    bob_at_home = Person(app)
    bob_at_home.log_in(bob)
    token = bob_at_home.open(SECURITY).forms[0].fields["csrf_token"]

    answers = [
        bob_at_home.ask("GET", path),
        bob_at_home.ask("POST", path, data={"csrf_token": token, "name": "Mine"}),
        bob_at_home.ask("POST", f"{path}/remove", data={"csrf_token": token}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert "Laptop" in ada_at_home.open(path).text


def test_a_passkey_logs_in_and_leads_on(
    visitor: Person, client: FlaskClient, app: Flask, ada: User
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)

    answer = log_in(visitor, key, "/account/login?next=/account/password")
    remembered = log_in(Person(app), key, remember="true")

    assert visitor.follow(answer).path == "/account/password"
    assert "Max-Age" not in cookie_of(answer)
    assert "Max-Age" in cookie_of(remembered)


def cookie_of(page: Page) -> str:
    [cookie] = [one for one in page.answer.headers.getlist("Set-Cookie") if "__Host-session" in one]
    return cookie


def test_a_refused_login_says_nothing_of_the_account(
    visitor: Person, client: FlaskClient, app: Flask, ada: User
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    stranger = Authenticator()
    stranger.user_handle = key.user_handle
    with app.app_context():
        db.session.get_one(User, ada.id).is_active = False
        db.session.commit()

    inactive = log_in(visitor, key, "/account/login?next=/account/password")
    unknown = log_in(visitor, stranger)

    for answer in (inactive, unknown):
        assert (answer.status, answer.heading) == (422, "Log in")
        assert REFUSED in answer.summary
    assert inactive.form(LOGIN).fields["next"] == "/account/password"
    # A browser stops to offer the passkey that nobody has, and keeps the other one.
    assert signal(inactive, "signalUnknownCredential") is None
    signalled = signal(unknown, "signalUnknownCredential")
    assert signalled == {"rpId": "localhost", "credentialId": to_text(stranger.credential_id)}


def test_an_answer_to_another_ceremony_is_refused(
    visitor: Person, client: FlaskClient, ada: User
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    page = visitor.open("/account/login")
    credential = json.dumps(key.get(begin(visitor, "passkeys/login-options")["options"]))

    answer = visitor.send(page, LOGIN, ceremony="made.up", credential=credential)

    assert answer.status == 422
    assert "This took too long. Try again." in answer.summary


@each("path", ["/account/login", SECURITY])
def test_without_passkeys_no_page_speaks_of_them(
    make_app: Callable[..., Flask], ada: User, path: str
) -> None:
    person = Person(make_app(PASSKEYS="false"))
    page = person.open("/account/login")
    if path != page.path:
        person.log_in(ada)
        page = person.open(path)
    token = page.forms[0].fields["csrf_token"]

    assert "data-passkey" not in page.html
    assert "Passkeys" not in page.text
    assert NEW not in page.links
    for method, gone in (("POST", LOGIN), ("GET", NEW), ("POST", NEW)):
        assert person.ask(method, gone, data={"csrf_token": token}).status_code == 404


def test_password_managers_are_told_a_page_that_exists(ada_at_home: Person) -> None:
    told = ada_at_home.client.get("/.well-known/passkey-endpoints", base_url=SITE).json

    for address in told.values():
        assert ada_at_home.open(address.removeprefix("http://localhost:8000")).status == 200


# After the password, and once more


def begun_on(page: Page) -> Any:
    """What the page of the second step has for the script."""
    _, found, rest = page.html.partition('data-begun="')
    assert found
    return json.loads(unescape(rest.partition('"')[0]))


def test_a_passkey_is_the_second_step(visitor: Person, client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    switch_on(client, with_passkey(client, ada, key))
    page = visitor.open("/account/login?next=/account/password")
    step = visitor.follow(visitor.send(page, username="ada", password=PASSWORD, remember="true"))
    wrong = Authenticator()
    wrong.user_handle = key.user_handle

    refused, answer = (
        visitor.send(
            step,
            "passkey",
            ceremony=begun_on(step)["ceremony"],
            credential=json.dumps(each.get(begun_on(step)["options"])),
            remember_device="true",
        )
        for each in (wrong, key)
    )

    assert (refused.status, refused.errors) == (422, {})
    assert "This passkey is not accepted." in refused.summary
    assert "Max-Age" in cookie_of(answer)
    assert visitor.follow(answer).path == "/account/password"
    assert "Asked again" in visitor.open(SECURITY).text


def test_a_passkey_proves_again_who_it_is(
    visitor: Person, client: FlaskClient, app: Flask, ada: User
) -> None:
    key = Authenticator()
    with_passkey(client, ada, key)
    visitor.log_in(ada)
    make_stale(app, ada)
    page = visitor.open("/account/reauthenticate?next=/account/security/totp")
    begun = begin(visitor, "reauthenticate/passkey-options")
    credential = json.dumps(key.get(begun["options"]))

    answer = visitor.send(page, "passkey", ceremony=begun["ceremony"], credential=credential)

    assert visitor.follow(answer).heading == "Set up an authenticator app"


def switch_on(client: FlaskClient, token: str) -> None:
    answer = client.put(
        f"{API}/auth/factors/second-step", json={"enabled": True}, headers=bearer(token)
    )
    assert answer.status_code == 200, answer.text
