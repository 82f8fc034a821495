"""The pages to which the links in mails lead."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models import User
from app.models.one_time_token import OneTimeToken
from app.pages import assets
from app.pages.mailed_links.kinds import KINDS, PAGES
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.cases import each
from tests.factories import API, PASSWORD, log_in, me, problem
from tests.mailbox import Mailbox
from tests.pages.person import ACCEPT, Page, Person

NEW = "another long password"
SCRIPT = (Path(assets.__file__).parent / "static/js/4-mailed-links.js").read_text()


@dataclass
class Links:
    """Makes tokens as the mails have them."""

    app: Flask

    def make(self, user: User, page: str, email: str | None = None) -> str:
        purpose = KINDS[page].purposes[0]
        with self.app.app_context():
            token = one_time_tokens.issue(user.id, purpose, email=email or user.email)
            db.session.commit()
        return token

    def used(self) -> list[bool]:
        with self.app.app_context():
            return [row is not None for row in db.session.scalars(db.select(OneTimeToken.used_at))]


@pytest.fixture
def links(app: Flask) -> Links:
    return Links(app)


def check(person: Person, name: str, token: str) -> Page:
    """What the script does, and what somebody does who pastes the token."""
    page = person.open(f"/account/{name}")
    return person.send(page, f"/account/{name}/check", token=token)


# Opening


@each("name", PAGES)
def test_a_page_has_a_strict_policy_and_loads_its_own_files_alone(
    visitor: Person, name: str
) -> None:
    page = visitor.open(f"/account/{name}")

    headers = page.answer.headers
    assert (page.status, headers["X-Content-Type-Options"]) == (200, "nosniff")
    [policy] = headers.getlist("Content-Security-Policy")
    directives = {name: values for name, *values in map(str.split, policy.split(";"))}
    for none in ("default-src", "frame-ancestors", "base-uri"):
        assert directives[none] == ["'none'"]
    for own in ("script-src", "style-src", "connect-src", "form-action"):
        assert directives[own] == ["'self'"]
    # No fragment is ever in a Referer, and other sites get none at all.
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=", page.html)
    assert all(path.startswith("/") for path in re.findall(r'(?:src|href)="([^"#]+)', page.html))


def test_opening_a_link_changes_nothing_and_asks_the_database_nothing(
    visitor: Person, links: Links, ada: User, statements: list[str]
) -> None:
    token = links.make(ada, "verify-email")
    statements.clear()

    for name in PAGES:
        # A scanner may even send what browsers do not.
        visitor.ask("GET", f"/account/{name}?token={token}")
        visitor.ask("HEAD", f"/account/{name}")
        visitor.ask("GET", f"/account/{name}/check?token={token}")

    assert statements == []
    assert links.used() == [False]


@each(
    "path",
    [
        *("/account/", "/account/nothing", "/account/link.html", "/account/kinds.py"),
        *("/account/..%2f..%2fconfig.py", "/account/../../config.py", "/account/VERIFY-EMAIL"),
        *("/account/verify-email/", "/account/verify-email/done", "/account/page.js"),
    ],
)
def test_an_unknown_page_is_answered_like_any_other_unknown_path(
    client: FlaskClient, path: str
) -> None:
    assert problem(client.get(path)) == (404, "not_found")


# Looking, and pressing the button


@each("name", PAGES)
def test_a_check_says_for_which_account_the_link_is_and_uses_nothing_up(
    visitor: Person, links: Links, ada: User, name: str
) -> None:
    before = len(links.used())
    token = links.make(ada, name, email=f"{name}@example.com")

    for _ in range(2):
        page = check(visitor, name, token)

        assert (page.status, page.summary) == (200, "")
        assert "ada" in page.text
        assert f"{name}@example.com" in page.text
        assert ada.email not in page.text
        assert page.form().fields["token"] == token
        assert page.form().action == f"/account/{name}"
    assert links.used()[before:] == [False]


def test_a_check_tells_nobody_anything_without_a_good_token(
    visitor: Person, links: Links, ada: User
) -> None:
    other_purpose = links.make(ada, "not-me")

    for token in ("", "unknown", other_purpose, "x" * 5000):
        page = check(visitor, "verify-email", token)

        assert page.status == 422
        assert "does not work any more" in page.summary
        assert "example.com" not in page.text
        assert "ada" not in page.text.split()


def test_the_whole_link_may_be_pasted(visitor: Person, links: Links, ada: User) -> None:
    token = links.make(ada, "verify-email")

    page = check(
        visitor, "verify-email", f" https://example.com/account/verify-email#token={token} "
    )

    assert page.form().fields["token"] == token


def test_other_sites_cannot_ask_what_a_token_is_for(
    visitor: Person, links: Links, ada: User
) -> None:
    token = links.make(ada, "verify-email")
    data = visitor.open("/account/verify-email").form().fields | {"token": token}

    for path in ("/account/verify-email", "/account/verify-email/check"):
        answer = visitor.ask("POST", path, data=data, **{"Sec-Fetch-Site": "same-site"})
        assert answer.status_code == 403
    forged = visitor.ask("POST", path, data=data | {"csrf_token": "forged"})

    assert forged.status_code == 403
    assert links.used() == [False]


def test_an_address_is_confirmed_and_the_page_leads_to_the_login(
    visitor: Person, links: Links, app: Flask, bob: User
) -> None:
    page = check(visitor, "verify-email", links.make(bob, "verify-email"))

    answer = visitor.send(page)

    shown = visitor.follow(answer)
    assert (shown.path, shown.notice) == ("/account/login", "Your email address is confirmed.")
    with app.app_context():
        assert db.session.get_one(User, bob.id).email_verified


@each("name", ["reset-password", "accept-invitation"])
def test_a_password_is_set(
    visitor: Person, links: Links, client: FlaskClient, ada: User, name: str
) -> None:
    password = f"{NEW} for {name}"
    page = check(visitor, name, links.make(ada, name))

    refused = visitor.send(page, new_password="short")
    answer = visitor.send(refused, new_password=password)

    assert (refused.status, list(refused.errors)) == (422, ["new_password"])
    assert visitor.follow(answer).notice == "Your password is set. Log in with it."
    assert log_in(client, ada, password)


def test_a_new_address_is_used(visitor: Person, links: Links, app: Flask, ada: User) -> None:
    token = links.make(ada, "confirm-email", email="new@example.com")

    answer = visitor.send(check(visitor, "confirm-email", token))

    assert visitor.follow(answer).notice == "Your account has the new email address."
    with app.app_context():
        assert db.session.get_one(User, ada.id).email == "new@example.com"


@each("name", ["undo-email-change", "not-me"])
def test_an_account_is_rescued(
    visitor: Person, links: Links, client: FlaskClient, mailbox: Mailbox, ada: User, name: str
) -> None:
    mailbox.mails.clear()
    session = log_in(client, ada, PASSWORD if name == "undo-email-change" else NEW)

    answer = visitor.send(check(visitor, name, links.make(ada, name)))

    assert visitor.follow(answer).notice.startswith("All devices are signed out.")
    assert me(client, session["access_token"]).status_code == 401
    recovery = mailbox.token("reset-password", to=ada.email)
    visitor.send(check(visitor, "reset-password", recovery), new_password=NEW)
    assert log_in(client, ada, NEW)


@each("name", PAGES)
def test_a_link_that_was_used_says_so_and_offers_what_helps(
    visitor: Person, links: Links, ada: User, name: str
) -> None:
    token = links.make(ada, name)
    opened = check(visitor, name, token)
    with links.app.app_context():
        one_time_tokens.redeem(one_time_tokens.read(token, *KINDS[name].purposes))
        db.session.commit()

    typed = {"new_password": NEW} if KINDS[name].sets_password else {}
    for page in (check(visitor, name, token), visitor.send(opened, **typed)):
        assert page.status == 422
        assert "This link does not work any more." in page.summary
        new_link = KINDS[name].new_link
        assert (f"/account/{new_link}/new-link" if new_link else "/account/email") in page.links
        assert token not in page.html


@each("name", ["verify-email", "reset-password"])
def test_a_new_link_is_mailed_to_the_address_and_the_answer_is_always_the_same(
    visitor: Person, mailbox: Mailbox, bob: User, name: str
) -> None:
    page = visitor.open(f"/account/{name}/new-link")

    answers = [visitor.send(page, email=email) for email in (bob.email, "eve@example.com")]

    assert {(one.status, one.answer.headers["Location"]) for one in answers} == {
        (303, "/account/login")
    }
    assert visitor.follow(answers[0]).notice.startswith("If an account has this address")
    assert mailbox.token(name, to=bob.email)
    assert {mail.to for mail in mailbox.mails} == {bob.email}


def test_the_switch_of_languages_keeps_the_link(visitor: Person, links: Links, ada: User) -> None:
    page = check(visitor, "reset-password", links.make(ada, "reset-password"))

    switched = visitor.send(page, press="中文")

    assert (switched.status, switched.summary) == (200, "")
    assert switched.heading == "设置新密码"
    assert switched.form().fields["token"] == page.form().fields["token"]


def test_the_switch_of_languages_reads_a_whole_link_that_was_pasted(
    visitor: Person, links: Links, ada: User
) -> None:
    page = visitor.open("/account/verify-email")
    link = f" https://example.com/account/verify-email#token={links.make(ada, 'verify-email')} "

    switched = visitor.send(page, "/account/verify-email/check", token=link, press="中文")

    assert (switched.status, switched.summary) == (200, "")
    assert ada.email in switched.text


def test_too_many_tokens_are_refused_with_a_page(make_app: Any, links: Links, ada: User) -> None:
    person = Person(make_app(RATELIMIT_ENABLED="true", RATELIMIT_TOKEN="1 per hour"))
    token = links.make(ada, "verify-email")
    page = check(person, "verify-email", token)

    answer = person.send(page)

    assert answer.status == 429
    assert int(answer.answer.headers["Retry-After"]) > 3000
    assert "Too many attempts." in answer.summary
    assert answer.form().fields["token"] == token
    assert links.used() == [False]


# Without the other pages


def test_the_links_work_without_the_other_pages(
    make_app: Callable[..., Flask], links: Links, mailbox: Mailbox, client: FlaskClient, ada: User
) -> None:
    person = Person(make_app(PAGES="false"))
    token = links.make(ada, "reset-password")
    page = check(person, "reset-password", token)

    done = person.send(page, new_password=NEW)
    spent = check(person, "reset-password", token)
    asked = person.send(person.open("/account/reset-password/new-link"), email=ada.email)

    assert (done.status, done.heading) == (200, "Done")
    assert "Your password is set." in done.text
    assert log_in(client, ada, NEW)
    assert "This link does not work any more." in spent.summary
    assert asked.status == 200
    assert mailbox.token("reset-password", to=ada.email)
    assert "/account" not in {*page.links, *done.links}


def test_the_links_work_where_browsers_keep_no_cookies_of_ours(
    make_app: Callable[..., Flask], links: Links, bob: User
) -> None:
    url = "http://intranet.example"
    client = make_app(PAGES="false", PUBLIC_URL=url).test_client(use_cookies=False)
    data = {"token": links.make(bob, "verify-email")}

    def post(origin: str) -> int:
        headers = {"Origin": origin, "Accept": ACCEPT}
        answer = client.post("/account/verify-email", data=data, base_url=url, headers=headers)
        return answer.status_code

    assert [post("http://evil.example"), post("null")] == [403, 403]
    assert links.used() == [False]
    assert post(url) == 200
    assert links.used() == [True]


# The script. tests/browser/test_mailed_links.py runs it.


def test_the_script_writes_no_markup_and_asks_nobody_else() -> None:
    assert not re.search(r"innerHTML|outerHTML|document\.write|eval\(|insertAdjacent", SCRIPT)
    assert not re.search(r"https?:|localStorage|location\.(href|assign|search)|console", SCRIPT)


def test_the_contract_of_the_links_is_kept() -> None:
    assert set(PAGES) == {
        *("verify-email", "reset-password", "confirm-email"),
        *("undo-email-change", "not-me", "accept-invitation"),
    }
    assert {purpose for kind in KINDS.values() for purpose in kind.purposes} == set(Purpose)


def test_the_calls_of_the_api_take_the_same_tokens(
    client: FlaskClient, links: Links, bob: User
) -> None:
    token = links.make(bob, "verify-email")

    assert client.post(f"{API}/auth/email/verify", json={"token": token}).status_code == 204
