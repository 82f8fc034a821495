"""An operator's first afternoon, from an empty production to the last question of the day.

It is walked twice: with the pages alone, and with commands alone. Only the
first superuser is made by a command in both. Nothing is written into the
database or asked of it but through these doors.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import pytest
from flask import Flask

from app.mail import transport
from tests.factories import API, PASSWORD
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person

pytestmark = pytest.mark.postgresql

NEW_PASSWORD = "an entirely different phrase"
TEAM = ("ada", "bob", "carol")
# Where Bob is on holiday, and where a colleague's terminal is.
HOTEL, COLLEAGUE = "198.51.100.23", "203.0.113.40"


@pytest.fixture
def production(make_app: Callable[..., Flask]) -> Flask:
    """A production with the settings that its start demands, and nobody in it."""
    app = make_app(
        APP_ENV="production",
        SECRET_KEY="Zr8vQ2mK5xW1pL9tB4nH7cJ3dF6gS0aYeUiOq",
        PUBLIC_URL="https://localhost",
        MAIL_FROM="no-reply@example.com",
        MAIL_URL="smtp://127.0.0.1:1",
        BCRYPT_ROUNDS="12",
        RATELIMIT_ENABLED="true",
    )
    # It starts with real costs; the twenty passwords of the afternoon are hashed as in all tests.
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], bcrypt_rounds=4)
    return app


@pytest.fixture
def post(production: Flask, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """The mail server, which works until a test breaks it."""
    box = Mailbox(production)
    box.collect(monkeypatch)
    return box


@pytest.fixture
def run(production: Flask) -> Callable[..., str]:
    """Run a command of ``flask``, and return what it answers."""

    def command(*arguments: str, stdin: str = "", **variables: str) -> str:
        runner = production.test_cli_runner(env=variables)
        result = runner.invoke(args=arguments, input=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    return command


@pytest.fixture
def grace(production: Flask, run: Callable[..., str]) -> Person:
    """The first superuser, made as docs/deploying.md says, at a browser that is not signed in."""
    named = ("--email", "grace@example.com", "--username", "grace", "--superuser")
    run("users", "create", *named, "--password-stdin", stdin=PASSWORD)
    return Person(production)


def no_mail_server(*_: object, **__: object) -> NoReturn:
    raise ConnectionRefusedError(111, "Connection refused")


def log_in(app: Flask, name: str, password: str, ip: str = "127.0.0.1") -> int:
    given = {"username": name, "password": password}
    client = app.test_client()
    return client.post(
        f"{API}/auth/login", json=given, environ_base={"REMOTE_ADDR": ip}
    ).status_code


def lock(app: Flask, name: str) -> None:
    """Guess until not even the right password is looked at."""
    guesses = [log_in(app, name, "wrong password, guessed", HOTEL) for _ in range(5)]
    assert guesses == [401] * 5
    assert log_in(app, name, PASSWORD, HOTEL) == 429


def follow_link(app: Flask, link: str, password: str) -> None:
    """Open a link as its reader, and choose a password."""
    path, _, token = link.removeprefix("https://localhost").partition("#token=")
    reader = Person(app)
    page = reader.send(reader.open(path), f"{path}/check", token=token)
    done = reader.send(page, path, new_password=password)
    assert reader.follow(done).notice == "Your password is set. Log in with it."


def accept_invitations(app: Flask, post: Mailbox) -> None:
    invited = post.deliver()
    assert [(mail.to, mail.page) for mail in invited] == [
        (f"{name}@example.com", "accept-invitation") for name in TEAM
    ]
    for mail in invited:
        assert mail.link is not None
        follow_link(app, mail.link, PASSWORD)
    post.deliver()


def change_the_address_of_ada(run: Callable[..., str]) -> None:
    """A colleague does it at a terminal, and says nothing to anybody."""
    over_ssh = {"SSH_CONNECTION": f"{COLLEAGUE} 50022 10.0.0.1 22", "USER": "heidi"}
    run("users", "edit", "ada", "--email", "ada@example.org", "--verified", **over_ssh)


def found(page: Page, beginning: str, *without: str) -> str:
    """The first link of the page that begins so, as somebody finds it who reads the page."""
    return next(link for link in page.links if link.startswith(beginning) and link not in without)


def test_by_pages_alone(
    production: Flask,
    run: Callable[..., str],
    grace: Person,
    post: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def person(name: str) -> Page:
        listed = grace.open(f"/admin/users?q={name}")
        return grace.open(found(listed, "/admin/users/", "/admin/users/new"))

    def press(page: Page, below: str, **typed: str) -> Page:
        return grace.follow(grace.send(page, page.path + below, **typed))

    # She logs in, and finds the administration.
    page = grace.open("/account/login")
    page = grace.follow(grace.send(page, username="grace", password=PASSWORD))
    page = grace.open(found(page, "/admin"))

    # She invites three people, who accept.
    people = grace.open(found(page, "/admin/users"))
    for name in TEAM:
        form = grace.open(found(people, "/admin/users/new"))
        page = grace.follow(grace.send(form, email=f"{name}@example.com", username=name))
        assert page.notice.startswith("The account is made")
        assert f"{name}@example.com" in page.text
    accept_invitations(production, post)
    assert log_in(production, "carol", PASSWORD) == 200

    # She makes a role, and gives it to Carol.
    page = grace.open(found(page, "/admin/roles"))
    page = grace.open(found(page, "/admin/roles/new"))
    made = grace.send(page, name="support", **{"permissions.users:read": "true"})
    page = grace.open(found(grace.follow(made), "/admin/roles/", "/admin/roles/new"))
    assert "You give it on the page of an account" in page.text
    shown = press(person("carol"), "/roles")
    assert (shown.notice, "support" in shown.text) == ("The role is given.", True)

    # Bob cannot log in, and the page says why.
    lock(production, "bob")
    page = person("bob")
    assert "One network gave wrong passwords" in page.text
    assert press(page, "/unlock").notice == "The failed logins are forgotten."
    assert log_in(production, "bob", PASSWORD, HOTEL) == 200

    # Carol forgot her password, and mail is broken. The page of Carol leads to the mail, which
    # says why it waits and what to try.
    with monkeypatch.context() as broken:
        broken.setattr(transport, "send", no_mail_server)
        shown = press(person("carol"), "/password-reset")
        assert shown.notice == "The link is on its way."
        assert post.deliver() == []
        page = grace.open(found(person("carol"), "/admin/mail/"))
        assert "Connection refused" in page.text
        assert "flask mail test" in page.text
    assert press(page, "/retry").notice == "The mail will be tried again in a moment."
    [mail] = post.deliver()
    assert mail.to == "carol@example.com"
    assert mail.link is not None
    follow_link(production, mail.link, NEW_PASSWORD)
    assert log_in(production, "carol", NEW_PASSWORD) == 200
    post.deliver()
    assert "Mails on their way" not in person("carol").text

    # "My address is another one!" Who changed it, and from where?
    change_the_address_of_ada(run)
    page = grace.open(found(person("ada"), "/admin/audit?subject="))
    _, _, told = page.text.partition("An operator changed the email address of ada .")
    told, _, _ = told.partition("Event ")
    assert COLLEAGUE in told
    page = grace.open(found(page, "/admin/audit/"))
    assert "operator heidi" in page.text


def test_by_commands_alone(
    production: Flask,
    run: Callable[..., str],
    grace: Person,
    post: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Three people are invited, and accept.
    for name in TEAM:
        said = run("users", "invite", "--email", f"{name}@example.com", "--username", name)
        assert said.startswith(f"Invited {name} <{name}@example.com> with id ")
    accept_invitations(production, post)
    assert log_in(production, "carol", PASSWORD) == 200

    # A role is made and given.
    run("roles", "create", "support", "users:read")
    assert run("roles", "assign", "carol", "support") == "carol@example.com has support.\n"

    # Bob cannot log in, and the list says why.
    lock(production, "bob")
    [head, line] = run("users", "suspended").splitlines()
    assert [head.split()[-2:], "bob" in line, HOTEL in line] == [["FROM", "UNTIL"], True, True]
    assert run("users", "unlock", "bob") == "bob@example.com may try to log in again.\n"
    assert log_in(production, "bob", PASSWORD, HOTEL) == 200

    # Carol forgot her password, and mail is broken. A link on the terminal needs no mail.
    with monkeypatch.context() as broken:
        broken.setattr(transport, "send", no_mail_server)
        run("users", "reset-password", "carol")
        assert post.deliver() == []
        assert "Connection refused" in run("outbox", "list")
        link = run("users", "link", "carol", "--reset").strip()
    follow_link(production, link, NEW_PASSWORD)
    assert log_in(production, "carol", NEW_PASSWORD) == 200

    # "My address is another one!" Who changed it, and from where?
    change_the_address_of_ada(run)
    asked = ("audit", "list", "--subject", "ada", "--event", "email_changed")
    [_, line] = run(*asked).splitlines()
    assert ["heidi" in line, COLLEAGUE in line] == [True, True]
    [event] = json.loads(run(*asked, "--json"))
    assert (event["ip"], event["details"]["operator"]) == (COLLEAGUE, "heidi")
